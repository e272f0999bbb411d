"use strict";
// Renders the OpenAPI document named by the body. Text is only ever set as text, never as markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
};

// A schema as the shape of the JSON it allows, references followed once.
const shape = (api, schema, depth = 0, seen = []) => {
  const pad = "  ".repeat(depth);
  if (schema === true || schema === undefined) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    if (seen.includes(name)) return name;
    return shape(api, api.components.schemas[name], depth, [...seen, name]);
  }
  const options = schema.anyOf || schema.oneOf;
  if (options) return options.map((option) => shape(api, option, depth, seen)).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const types = [].concat(schema.type ?? (schema.properties ? "object" : "anything"));
  return types.map((type) => {
    if (type === "array") return `[ ${shape(api, schema.items, depth, seen)} ]`;
    if (type === "object" && schema.properties) {
      const required = schema.required ?? [];
      const lines = Object.entries(schema.properties).map(([name, property]) =>
        `${pad}  ${name}${required.includes(name) ? "" : "?"}: ${shape(api, property, depth + 1, seen)}`);
      return `{\n${lines.join("\n")}\n${pad}}`;
    }
    if (type === "null") return type;
    return schema.format ? `${type} (${schema.format})` : schema.pattern ? `${type} ${schema.pattern}` : type;
  }).join(" | ");
};

const block = (title, text) => make("div", {}, make("h4", {}, title), make("pre", {}, text));

const parameters = (api, list) => {
  const rows = list.map((p) => make("tr", {},
    make("td", {}, make("code", {}, p.name)), make("td", {}, p.in),
    make("td", {}, make("code", {}, shape(api, p.schema))), make("td", {}, p.description ?? "")));
  return make("div", {}, make("h4", {}, "Parameters"), make("table", {}, ...rows));
};

const success = (operation) => operation.responses["200"] ?? operation.responses["201"];

const example = (method, path, operation) => {
  const parts = ["curl"];
  if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  if (operation.security.length > 0) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (success(operation).content["text/event-stream"]) parts.push("-N");
  const body = operation.requestBody?.content["application/json"].example;
  if (body) parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  parts.push(`'${location.origin}${path}'`);
  return parts.join(" ");
};

const card = (api, path, method, operation) => {
  const [type, content] = Object.entries(success(operation).content)[0];
  const body = operation.requestBody?.content["application/json"].schema;
  const errors = Object.keys(operation.responses).filter((status) => status >= "400").join(" ");
  return make("details", { id: operation.operationId },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("code", {}, path), make("span", { class: "about" }, operation.summary),
      make("span", { class: "role" }, operation["x-role"])),
    operation.parameters ? parameters(api, operation.parameters) : null,
    body ? block("Body", shape(api, body)) : null,
    block(`Answer: ${type}`, content.schema.description ?? shape(api, content.schema)),
    make("p", {}, "Errors (application/problem+json): ", make("code", {}, errors)),
    block("Try it", example(method, path, operation)));
};

const render = (api) => {
  const main = document.querySelector("main");
  main.replaceChildren(...api.info.description.split("\n\n").map((text) => make("p", {}, text.replaceAll("`", ""))));
  for (const tag of api.tags) {
    main.append(make("h2", {}, tag.name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags.includes(tag.name)) main.append(card(api, path, method, operation));
      }
    }
  }
  main.append(make("h2", {}, "Errors"), block("application/problem+json",
    shape(api, api.components.responses.Problem.content["application/problem+json"].schema)));
};

fetch(document.body.dataset.document)
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => document.querySelector("main").replaceChildren(make("p", {}, `The document could not be read: ${error}`)));
