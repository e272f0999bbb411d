//! How long what is kept.

use chrono::{Days, NaiveDate};
use contracts::meterer::MeteringConfig;

use super::{accrual, llm_usage::LLM_TOKENS};

/// The shortest retention: the longest month, and some days to bill it and correct it in.
pub const DAYS_MIN: i32 = 35;
/// The longest: ten years.
pub const DAYS_MAX: i32 = 3650;

/// Rows that nobody needs any more: of what, and before which day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expired {
    /// Metered usage of a billing kind.
    UsageRecords {
        /// Which kind.
        billing_kind: String,
        /// The first day that is kept.
        before: NaiveDate,
    },
    /// What could not be metered for a billing kind.
    UnmeteredResources {
        /// Which kind.
        billing_kind: String,
        /// The first day that is kept.
        before: NaiveDate,
    },
    /// States of resources that were followed by others. The last of each is kept for ever: it tells a late message from
    /// news.
    ResourceStates {
        /// The first day that can still be metered.
        before: NaiveDate,
    },
    /// What was said of requests to models. Their ids, corrections, conflicts and sums are kept for ever.
    LlmUsageEvents {
        /// The first day that is kept.
        before: NaiveDate,
    },
    /// Producers of usage of which nothing has come for so long.
    UsageProducers {
        /// The first day that is kept.
        before: NaiveDate,
    },
}

/// What may go today.
pub fn expired(configs: &[MeteringConfig], today: NaiveDate) -> Vec<Expired> {
    let mut expired = Vec::new();
    let metered = configs.iter().filter(|config| is_metered(config.billing_kind.as_str()));
    let mut states_before: Option<NaiveDate> = None;
    for config in metered {
        let before = kept_from(today, config.retention_days);
        let billing_kind = config.billing_kind.as_str().to_owned();
        expired.push(Expired::UsageRecords { billing_kind: billing_kind.clone(), before });
        expired.push(Expired::UnmeteredResources { billing_kind, before });
        states_before = Some(states_before.map_or(before, |earliest| earliest.min(before)));
    }
    // Whatever kind is kept longest may still be metered again.
    expired.extend(states_before.map(|before| Expired::ResourceStates { before }));
    for config in configs.iter().filter(|config| config.billing_kind.as_str() == LLM_TOKENS) {
        let before = kept_from(today, config.retention_days);
        expired.push(Expired::LlmUsageEvents { before });
        expired.push(Expired::UsageProducers { before });
    }
    expired
}

/// The first day that is kept for so many days.
pub fn kept_from(today: NaiveDate, retention_days: i32) -> NaiveDate {
    let days = u64::try_from(retention_days).unwrap_or(0);
    today.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}

/// Whether a billing kind is metered from resources, and so by the hour if that is wanted.
pub fn is_metered(billing_kind: &str) -> bool {
    accrual::meters().iter().any(|meter| meter.billing_kind == billing_kind)
}

#[cfg(test)]
mod tests {
    use contracts::meterer::Granularity;
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_kind_goes_by_its_own_retention_and_states_by_the_longest() {
        let config = |kind: &str, retention_days| MeteringConfig {
            billing_kind: kind.parse().unwrap(),
            granularity: Granularity::Daily,
            retention_days,
        };
        let configs =
            [config("droplet_hours", 40), config("dns_zones", 400), config("nobody_meters_it", 3650)];
        let shown: String = expired(&configs, "2026-05-10".parse().unwrap())
            .iter()
            .map(|expired| format!("{expired:?}\n"))
            .collect();
        expect![[r#"
            UsageRecords { billing_kind: "droplet_hours", before: 2026-03-31 }
            UnmeteredResources { billing_kind: "droplet_hours", before: 2026-03-31 }
            UsageRecords { billing_kind: "dns_zones", before: 2025-04-05 }
            UnmeteredResources { billing_kind: "dns_zones", before: 2025-04-05 }
            ResourceStates { before: 2025-04-05 }
        "#]]
        .assert_eq(&shown);
    }
}
