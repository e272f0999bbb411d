//! Documents that are derived from the code are committed and current. `UPDATE_EXPECT=1` rewrites them.

use expect_test::expect_file;

#[test]
fn the_catalogue_is_current() {
    expect_file!["../../nats/CATALOGUE.md"].assert_eq(&crate::catalogue::render());
}

#[test]
fn the_asyncapi_document_is_current() {
    expect_file!["../../nats/asyncapi.json"].assert_eq(&contracts::asyncapi::render());
}

#[test]
fn the_users_of_nats_are_current() {
    expect_file!["../../nats/users.conf"].assert_eq(&contracts::permissions::render());
}

#[test]
fn the_openapi_document_is_current() {
    let document =
        serde_json::to_string_pretty(&gateway_api::openapi::document()).expect("a value serialises");
    expect_file!["../../services/gateway-api/openapi.json"].assert_eq(&format!("{document}\n"));
}
