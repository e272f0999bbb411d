//! The messages, one by one, in constant memory but for what was corrected.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use chrono::{FixedOffset, SecondsFormat, TimeDelta};
use contracts::Message as _;
use contracts::llm_gateway::{UsageCorrected, UsageRecorded, UsageVoided};

use super::random::Random;
use super::request::{Correction, FRACTION_DIGITS, Fields, Figures, Request, Told, decimal, text, time};
use super::rubbish::{Rubbish, Written};
use super::totals::{Counter, Totals};
use super::{Message, Plan, REORDERED_BY_MAX, Shares, Sort};

/// How often a request is looked for that has come and is not voided, before another sort of message is made.
const LOOKS: u32 = 8;

const TRAFFIC: u64 = 4;

/// The messages of a plan, in order, and what those that were taken come to.
#[derive(Debug, Clone)]
pub struct Traffic {
    plan: Plan,
    random: Random,
    emitted: u64,
    /// The number of the next request.
    next: u64,
    /// Requests that are put off: when they come, and their numbers.
    late: BinaryHeap<Reverse<(u64, u64)>>,
    withheld: HashSet<u64>,
    corrections: Vec<Told>,
    /// The last figures of the requests that were corrected.
    corrected: HashMap<u64, Figures>,
    voided: HashSet<u64>,
    conflicts: u64,
    rubbish: u64,
    counter: Counter,
}

/// What came before, to be followed.
enum Earlier {
    Request(u64),
    Correction(u64),
}

impl Traffic {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            random: Random::of(plan.seed, TRAFFIC, 0),
            plan,
            emitted: 0,
            next: 0,
            late: BinaryHeap::new(),
            withheld: HashSet::new(),
            corrections: Vec::new(),
            corrected: HashMap::new(),
            voided: HashSet::new(),
            conflicts: 0,
            rubbish: 0,
            counter: Counter::default(),
        }
    }

    /// What the messages that were taken so far come to.
    pub fn totals(&self) -> Totals {
        self.counter.totals()
    }

    fn message(&mut self, sort: Sort, subject: String, body: Vec<u8>) -> Message {
        self.emitted += 1;
        self.counter.count(sort);
        Message { sort, subject, producer: self.plan.producer.clone(), sequence: self.emitted, body }
    }

    /// The next sort of message, as the shares say.
    fn draw(&mut self) -> Option<Message> {
        let Shares { duplicates, conflicts, rubbish, corrections, voids, .. } = self.plan.shares;
        let mut roll = self.random.below(1_000);
        let mut falls_to = |share: u16| {
            let falls = roll < u64::from(share);
            roll = roll.saturating_sub(u64::from(share));
            // Once it fell, nothing else takes it.
            if falls {
                roll = u64::MAX;
            }
            falls
        };
        let (duplicates, conflicts) = (falls_to(duplicates), falls_to(conflicts));
        let (rubbish, corrections, voids) = (falls_to(rubbish), falls_to(corrections), falls_to(voids));
        match (duplicates, conflicts, rubbish, corrections, voids) {
            (true, ..) => self.duplicate(),
            (_, true, ..) => self.conflict(),
            (_, _, true, ..) => Some(self.rubbish()),
            (_, _, _, true, _) => self.correct(false),
            (_, _, _, _, true) => self.correct(true),
            _ => None,
        }
    }

    fn request(&mut self, number: u64) -> Message {
        let request = Request::of(&self.plan, number);
        self.withheld.remove(&number);
        self.counter.add(&request, request.figures);
        let subject = format!("{}.{}", UsageRecorded::SUBJECT, request.target.tenant_id);
        let body = request.fields().write();
        self.message(Sort::Request, subject, body)
    }

    /// A request that has come.
    fn earlier_request(&mut self) -> Option<u64> {
        (0..LOOKS)
            .filter(|_| self.next > 0)
            .map(|_| self.random.below(self.next))
            .find(|number| !self.withheld.contains(number))
    }

    fn earlier(&mut self) -> Option<Earlier> {
        let told = self.corrections.len() as u64;
        // About as often as they are of all.
        if told > 0 && self.random.below(self.next + told) < told {
            return Some(Earlier::Correction(self.random.below(told)));
        }
        self.earlier_request().map(Earlier::Request)
    }

    fn correction(&self, number: u64) -> Correction {
        let index = usize::try_from(number).expect("an index of what is in memory");
        Correction::of(&self.plan, number, self.corrections[index])
    }

    fn fields_of(&self, earlier: &Earlier) -> (String, Fields) {
        match earlier {
            Earlier::Request(number) => {
                let request = Request::of(&self.plan, *number);
                (format!("{}.{}", UsageRecorded::SUBJECT, request.target.tenant_id), request.fields())
            }
            Earlier::Correction(number) => {
                let correction = self.correction(*number);
                (subject_of(&correction), correction.fields())
            }
        }
    }

    fn duplicate(&mut self) -> Option<Message> {
        let earlier = self.earlier()?;
        let (subject, mut fields) = self.fields_of(&earlier);
        respell(&mut fields, &mut self.random);
        Some(self.message(Sort::Duplicate, subject, fields.write()))
    }

    fn conflict(&mut self) -> Option<Message> {
        let earlier = self.earlier()?;
        let (subject, mut fields) = self.fields_of(&earlier);
        self.conflicts += 1;
        match earlier {
            Earlier::Request(number) => {
                let request = Request::of(&self.plan, number);
                contradict_request(&mut fields, &request, self.conflicts, &mut self.random);
            }
            Earlier::Correction(_) => {
                fields.set("reason", text(&format!("contradicts itself, {}", self.conflicts)));
            }
        }
        Some(self.message(Sort::Conflict, subject, fields.write()))
    }

    fn correct(&mut self, voids: bool) -> Option<Message> {
        let number =
            (0..LOOKS).find_map(|_| self.earlier_request().filter(|number| !self.voided.contains(number)))?;
        let told = Told { request: number, voids, at: self.next };
        self.corrections.push(told);
        let correction = self.correction(self.corrections.len() as u64 - 1);
        let before = self.corrected.get(&number).copied().unwrap_or(correction.request.figures);
        self.counter.take_back(&correction.request, before);
        match correction.figures {
            Some(figures) => {
                self.counter.add(&correction.request, figures);
                self.corrected.insert(number, figures);
            }
            None => {
                self.voided.insert(number);
            }
        }
        let sort = if voids { Sort::Void } else { Sort::Correction };
        Some(self.message(sort, subject_of(&correction), correction.fields().write()))
    }

    fn rubbish(&mut self) -> Message {
        let sort = Rubbish::draw(&self.plan, &mut self.random);
        self.rubbish += 1;
        let Written { subject, body } = sort.write(&self.plan, self.rubbish);
        self.message(Sort::Rubbish(sort), subject, body)
    }
}

impl Iterator for Traffic {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let left = self.plan.count - self.emitted;
        if left == 0 {
            return None;
        }
        loop {
            let due = self.late.peek().is_some_and(|Reverse((slot, _))| *slot <= self.emitted);
            if (due || self.late.len() as u64 >= left)
                && let Some(Reverse((_, number))) = self.late.pop()
            {
                return Some(self.request(number));
            }
            if let Some(message) = self.draw() {
                return Some(message);
            }
            let number = self.next;
            self.next += 1;
            // The last message has nothing to be later than.
            let late = left > 1 && self.random.below(1_000) < u64::from(self.plan.shares.reordered);
            if !late {
                return Some(self.request(number));
            }
            self.counter.count_reordered();
            self.withheld.insert(number);
            let slot = self.emitted + 1 + self.random.below(REORDERED_BY_MAX);
            self.late.push(Reverse((slot, number)));
        }
    }
}

fn subject_of(correction: &Correction) -> String {
    let literal = match correction.figures {
        Some(_) => UsageCorrected::SUBJECT,
        None => UsageVoided::SUBJECT,
    };
    format!("{literal}.{}", correction.request.target.tenant_id)
}

/// Other bytes that say the same; half of them not even that.
fn respell(fields: &mut Fields, random: &mut Random) {
    match random.below(8) {
        0 => {
            // "0.1" and "0.100" are one number.
            if let Some(charge) = fields.get("charge") {
                let charge = charge.trim_matches('"').to_owned();
                let digits = charge.split_once('.').map_or(0, |(_, fraction)| fraction.len());
                let zeros = "0".repeat(FRACTION_DIGITS.saturating_sub(digits).min(2));
                let point = if digits == 0 && !zeros.is_empty() { "." } else { "" };
                fields.set("charge", text(&format!("{charge}{point}{zeros}")));
            }
        }
        1 => fields.0.reverse(),
        2 => {
            if fields.get("cached_tokens") == Some("0") {
                fields.remove("cached_tokens");
            }
            if fields.get("metadata").is_none() && fields.get("reason").is_none() {
                fields.set("metadata", "{ }".to_owned());
            }
        }
        3 => {
            // The same moment on another clock.
            let east = FixedOffset::east_opt(2 * 3_600).expect("two hours are an offset");
            if let Some(at) = fields.get("occurred_at") {
                let at = chrono::DateTime::parse_from_rfc3339(at.trim_matches('"')).expect("our own time");
                let at = at.with_timezone(&east).to_rfc3339_opts(SecondsFormat::Micros, false);
                fields.set("occurred_at", text(&at));
            }
        }
        _ => {}
    }
}

/// Changes a field or two, as it was never changed before.
fn contradict_request(fields: &mut Fields, request: &Request, number: u64, random: &mut Random) {
    let Figures { prompt, completion, cached, charge } = request.figures;
    match random.below(9) {
        0 => fields.set("charge", text(&decimal(charge + u128::from(number)))),
        1 => fields.set("prompt_tokens", (prompt + number).to_string()),
        2 => fields.set("completion_tokens", (completion + number).to_string()),
        3 => fields.set("cached_tokens", (cached + number).to_string()),
        4 => fields.set("model", text(&format!("{}-{number}", request.model))),
        5 => fields.set("provider", text(&format!("{}-{number}", request.provider))),
        6 => {
            let earlier = request.occurred_at - TimeDelta::milliseconds(number.cast_signed());
            fields.set("occurred_at", text(&time(earlier)));
        }
        7 => fields.set("metadata", format!(r#"{{"again":{number}}}"#)),
        _ => {
            fields.set("charge", text(&decimal(charge + u128::from(number))));
            fields.set("prompt_tokens", (prompt + number).to_string());
            fields.set("model", text("basalt-1b"));
        }
    }
}
