//! What a plan with add-ons and so much usage would cost. Nothing is kept.

use contracts::{
    Problem,
    biller::{Addon, MakeQuote, PlanVersion, Quote},
    ids::{BillingKind, Code},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{
    Biller,
    domain::{
        catalog::{check_day, check_quantity},
        quote::{self, AddonTerms, QuoteError, Terms},
    },
    store::catalog,
};

/// Add-ons in one quote, and billing kinds in its usage.
const ENTRIES_MAX: usize = 100;

impl Answer<MakeQuote> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: MakeQuote) -> Result<Quote, Refusal> {
        let starts_on = query.starts_on.unwrap_or_else(|| self.clock.now().date_naive());
        check_day("/starts_on", starts_on)?;
        check_usage(&query)?;
        let Some(plan) = catalog::plan::find(tx, &query.plan_code).await? else {
            return Err(Problem::unprocessable("/plan_code", "there is no such plan").into());
        };
        let Some(version) = plan.active_version else {
            return Err(Problem::unprocessable("/plan_code", "nothing of this plan is on offer yet").into());
        };
        let addons = chosen(&query.addons, &catalog::addons(tx, &query.addons).await?, &version)?;
        let uncovered: Vec<&BillingKind> = query
            .projected_usage
            .keys()
            .filter(|kind| version.items.iter().all(|item| item.resource_kind != **kind))
            .collect();
        let prices = catalog::price::in_force(tx, &uncovered, version.currency, starts_on).await?;
        let terms = Terms {
            plan_name: &plan.name,
            version: &version,
            addons: &addons,
            prices: &prices,
            priced_on: starts_on,
        };
        quote::project(&terms, &query.projected_usage, starts_on).map_err(|error| refused(&error).into())
    }
}

fn check_usage(query: &MakeQuote) -> Result<(), Box<Problem>> {
    let too_many =
        |field| Box::new(Problem::unprocessable(field, format!("must be at most {ENTRIES_MAX} entries")));
    if query.addons.len() > ENTRIES_MAX {
        return Err(too_many("/addons"));
    }
    if query.projected_usage.len() > ENTRIES_MAX {
        return Err(too_many("/projected_usage"));
    }
    query.projected_usage.iter().try_for_each(|(kind, used)| check_quantity(&usage_field(kind), *used))
}

/// What stands for each code that was named, in the order and as often as it was named.
fn chosen(codes: &[Code], known: &[Addon], version: &PlanVersion) -> Result<Vec<AddonTerms>, Box<Problem>> {
    let named = codes.iter().enumerate().map(|(index, code)| {
        let refuse = |detail: String| Box::new(Problem::unprocessable(format!("/addons/{index}"), detail));
        let addon = known.iter().find(|addon| addon.code == *code);
        let addon = addon.ok_or_else(|| refuse("there is no such add-on".to_owned()))?;
        if addon.currency != version.currency {
            let detail = format!("is priced in {}, and the plan in {}", addon.currency, version.currency);
            return Err(refuse(detail));
        }
        Ok(AddonTerms::from(addon))
    });
    named.collect()
}

fn usage_field(kind: &BillingKind) -> String {
    format!("/projected_usage/{kind}")
}

fn refused(error: &QuoteError) -> Problem {
    let field = match error {
        QuoteError::TooManyDigits(kind) | QuoteError::TooDear(kind) => usage_field(kind),
        QuoteError::TotalTooLarge(_) => "/projected_usage".to_owned(),
    };
    Problem::unprocessable(field, error.to_string())
}
