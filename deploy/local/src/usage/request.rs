//! One request to a model, and one correction, as a function of seed and number; and how they are written.

use chrono::{DateTime, SecondsFormat, Utc};

use super::random::Random;
use super::{Plan, Target};

/// A charge of one whole unit of its currency, in the units that we count in: the finest that a charge can have.
pub(super) const UNITS: u128 = 1_000_000_000_000;
/// Digits behind the point of a charge.
pub(super) const FRACTION_DIGITS: usize = 12;

const REQUEST: u64 = 1;
const CORRECTION: u64 = 2;

const MODELS: [(&str, &str); 6] = [
    ("aurora", "aurora-large-2"),
    ("aurora", "aurora-mini-2"),
    ("basalt", "basalt-70b"),
    ("basalt", "basalt-embed-1"),
    ("cirrus", "cirrus-code-3"),
    ("cirrus", "cirrus-vision"),
];

/// Tokens and charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    /// In [`UNITS`] of a whole.
    pub charge: u128,
}

impl Figures {
    fn draw(random: &mut Random) -> Self {
        // As many digits as the gateway's prices have: some two, some twelve.
        let finest = 10_u128.pow(u32::try_from(random.below(12)).expect("below twelve"));
        let most = if random.below(1_000) == 0 { 20_000 * UNITS } else { 3 * UNITS };
        let steps = u64::try_from(most / finest).expect("thousands of units fit");
        Self {
            prompt: random.below(200_000),
            completion: random.below(8_000),
            cached: if random.below(3) == 0 { random.below(150_000) } else { 0 },
            charge: u128::from(random.below(steps + 1)) * finest,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub id: String,
    pub target: Target,
    pub provider: &'static str,
    pub model: &'static str,
    pub figures: Figures,
    pub occurred_at: DateTime<Utc>,
    /// JSON.
    pub metadata: Option<String>,
}

impl Request {
    pub(super) fn of(plan: &Plan, number: u64) -> Self {
        let mut random = Random::of(plan.seed, REQUEST, number);
        let target = random.pick(&plan.targets);
        let (provider, model) = random.pick(&MODELS);
        let figures = Figures::draw(&mut random);
        let metadata = (random.below(4) == 0)
            .then(|| format!(r#"{{"route":"r{}","retries":{}}}"#, random.below(50), random.below(3)));
        Self {
            id: format!("req_{:x}_{number:012}", plan.seed),
            target,
            provider,
            model,
            figures,
            occurred_at: plan.time_of(number),
            metadata,
        }
    }

    pub(super) fn fields(&self) -> Fields {
        let Figures { prompt, completion, cached, charge } = self.figures;
        let mut fields = vec![
            ("gateway_request_id", text(&self.id)),
            ("tenant_id", text(self.target.tenant_id.as_str())),
            ("deployment_id", text(&self.target.deployment_id.to_string())),
            ("provider", text(self.provider)),
            ("model", text(self.model)),
            ("prompt_tokens", prompt.to_string()),
            ("completion_tokens", completion.to_string()),
            ("cached_tokens", cached.to_string()),
            ("charge", text(&decimal(charge))),
            ("currency", text(self.target.currency.as_str())),
            ("occurred_at", text(&time(self.occurred_at))),
        ];
        fields.extend(self.metadata.clone().map(|metadata| ("metadata", metadata)));
        Fields(fields)
    }
}

/// A correction, or a void.
#[derive(Debug, Clone)]
pub(super) struct Correction {
    pub id: String,
    pub request: Request,
    /// `None` voids the request.
    pub figures: Option<Figures>,
    pub occurred_at: DateTime<Utc>,
}

impl Correction {
    pub(super) fn of(plan: &Plan, number: u64, told: Told) -> Self {
        let mut random = Random::of(plan.seed, CORRECTION, number);
        let figures = Figures::draw(&mut random);
        Self {
            id: format!("cor_{:x}_{number:012}", plan.seed),
            request: Request::of(plan, told.request),
            figures: (!told.voids).then_some(figures),
            occurred_at: plan.time_of(told.at),
        }
    }

    pub(super) fn fields(&self) -> Fields {
        let target = &self.request.target;
        let mut fields = vec![
            ("correction_id", text(&self.id)),
            ("gateway_request_id", text(&self.request.id)),
            ("tenant_id", text(target.tenant_id.as_str())),
            ("deployment_id", text(&target.deployment_id.to_string())),
        ];
        if let Some(Figures { prompt, completion, cached, charge }) = self.figures {
            fields.extend([
                ("prompt_tokens", prompt.to_string()),
                ("completion_tokens", completion.to_string()),
                ("cached_tokens", cached.to_string()),
                ("charge", text(&decimal(charge))),
                ("currency", text(target.currency.as_str())),
            ]);
        }
        let reason =
            if self.figures.is_some() { "priced by the wrong list" } else { "the answer never came" };
        fields.extend([("reason", text(reason)), ("occurred_at", text(&time(self.occurred_at)))]);
        Fields(fields)
    }
}

/// What there is to remember of a correction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// The number of the request.
    pub request: u64,
    pub voids: bool,
    /// The number of the request before which it was decided.
    pub at: u64,
}

/// An object's fields, each with its value in JSON, to be altered before they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields(pub Vec<(&'static str, String)>);

impl Fields {
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        match self.0.iter_mut().find(|(field, _)| *field == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| *field != name);
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = String::with_capacity(420);
        for (name, value) in &self.0 {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            out.push_str(value);
        }
        out.push('}');
        out.into_bytes()
    }
}

/// Text that needs no escape, as JSON.
pub(super) fn text(value: &str) -> String {
    format!("\"{value}\"")
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A charge as the gateway writes it: without zeros at the end.
pub(super) fn decimal(units: u128) -> String {
    let (whole, fraction) = (units / UNITS, units % UNITS);
    if fraction == 0 {
        return whole.to_string();
    }
    let fraction = format!("{fraction:0FRACTION_DIGITS$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
