//! What may be offered: bounds of prices and quantities, one item per billing kind, names that can be shown.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use contracts::{Problem, biller::PlanItem};
use money::{Cents, Quantity};

/// Longest name of anything in the catalog, in characters.
pub const NAME_CHARS_MAX: usize = 255;
/// Largest price of a month or a unit: a thousand million of the currency, in cents.
pub const PRICE_MAX: Cents = Cents::new(100_000_000_000);
/// Billing kinds in one plan version; there are about seven.
pub const ITEMS_MAX: usize = 32;
/// Years that a day of a price or a quote may be in: `2000..2100`.
pub const YEARS: std::ops::Range<i32> = 2000..2100;

/// Refuses a name that is empty, too long, or cannot be stored or shown on a line.
pub fn check_name(field: &str, name: &str) -> Result<(), Box<Problem>> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) && name.trim() == name {
        return Ok(());
    }
    let detail = format!(
        "must be 1 to {NAME_CHARS_MAX} characters, without control characters, and without spaces at its ends"
    );
    Err(Problem::unprocessable(field, detail).into())
}

/// Refuses a price that is negative or absurd.
pub fn check_price(field: &str, price: Cents) -> Result<(), Box<Problem>> {
    if (Cents::ZERO..=PRICE_MAX).contains(&price) {
        return Ok(());
    }
    Err(Problem::unprocessable(field, format!("must be 0 to {} cents", PRICE_MAX.get())).into())
}

/// Refuses a quantity with more digits than are kept.
pub fn check_quantity(field: &str, quantity: Quantity) -> Result<(), Box<Problem>> {
    let value = quantity.get().normalize();
    // Digits before the point are bounded where a quantity is read.
    if value.scale() as usize <= Quantity::FRACTION_DIGITS_MAX {
        return Ok(());
    }
    let detail = format!("must have at most {} digits behind the point", Quantity::FRACTION_DIGITS_MAX);
    Err(Problem::unprocessable(field, detail).into())
}

/// Refuses a day that is not in this century.
pub fn check_day(field: &str, day: NaiveDate) -> Result<(), Box<Problem>> {
    if YEARS.contains(&day.year()) {
        return Ok(());
    }
    let detail = format!("must be a day from {} to {}", YEARS.start, YEARS.end - 1);
    Err(Problem::unprocessable(field, detail).into())
}

/// Refuses items that contradict themselves or each other.
pub fn check_items(items: &[PlanItem]) -> Result<(), Box<Problem>> {
    if items.len() > ITEMS_MAX {
        return Err(Problem::unprocessable("/items", format!("must be at most {ITEMS_MAX} items")).into());
    }
    let mut places = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let field = |name: &str| format!("/items/{index}/{name}");
        if let Some(first) = places.insert(&item.resource_kind, index) {
            let detail = format!("{} has an item already: /items/{first}", item.resource_kind);
            return Err(Problem::unprocessable(field("resource_kind"), detail).into());
        }
        check_quantity(&field("included_qty"), item.included_qty)?;
        check_price(&field("overage_price_cents"), item.overage_price_cents)?;
        if let Some(cap) = item.hard_cap_qty {
            check_quantity(&field("hard_cap_qty"), cap)?;
            if cap < item.included_qty {
                return Err(
                    Problem::unprocessable(field("hard_cap_qty"), "must not be below included_qty").into()
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contracts::biller::Unit;
    use expect_test::{Expect, expect};

    use super::*;

    fn check(checked: Result<(), Box<Problem>>, outcome: Expect) {
        let shown = match checked {
            Ok(()) => "good".to_owned(),
            Err(problem) => {
                let error = &problem.errors[0];
                format!("{} {}: {}", problem.status, error.field, error.detail)
            }
        };
        outcome.assert_eq(&shown);
    }

    fn item(kind: &str) -> PlanItem {
        PlanItem {
            resource_kind: kind.parse().unwrap(),
            included_qty: Quantity::from(100),
            overage_unit: Unit::Hour,
            overage_price_cents: Cents::new(1),
            hard_cap_qty: None,
        }
    }

    fn quantity(json: &str) -> Quantity {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_can_be_stored_and_shown() {
        check(check_name("/name", "Studio"), expect!["good"]);
        check(check_name("/name", &"ä".repeat(255)), expect!["good"]);
        let refused = "422 /name: must be 1 to 255 characters, without control characters, and without spaces at its ends";
        for bad in ["", " ", " Studio", "Stu\0dio", "Stu\ndio", &"x".repeat(256)] {
            let problem = check_name("/name", bad).unwrap_err();
            assert_eq!(format!("422 /name: {}", problem.errors[0].detail), refused, "{bad:?}");
        }
    }

    #[test]
    fn prices_are_bounded() {
        check(check_price("/p", Cents::ZERO), expect!["good"]);
        check(check_price("/p", PRICE_MAX), expect!["good"]);
        check(check_price("/p", Cents::new(-1)), expect!["422 /p: must be 0 to 100000000000 cents"]);
        let above = Cents::new(PRICE_MAX.get() + 1);
        check(check_price("/p", above), expect!["422 /p: must be 0 to 100000000000 cents"]);
    }

    #[test]
    fn quantities_are_not_finer_than_is_kept() {
        check(check_quantity("/q", quantity("\"0.1234567890120\"")), expect!["good"]);
        check(
            check_quantity("/q", quantity("\"0.1234567890123\"")),
            expect!["422 /q: must have at most 12 digits behind the point"],
        );
    }

    #[test]
    fn days_are_of_this_century() {
        check(check_day("/d", "2000-01-01".parse().unwrap()), expect!["good"]);
        check(check_day("/d", "2099-12-31".parse().unwrap()), expect!["good"]);
        check(
            check_day("/d", "2100-01-01".parse().unwrap()),
            expect!["422 /d: must be a day from 2000 to 2099"],
        );
        check(
            check_day("/d", "1999-12-31".parse().unwrap()),
            expect!["422 /d: must be a day from 2000 to 2099"],
        );
    }

    #[test]
    fn a_version_has_one_sound_item_per_kind() {
        check(check_items(&[item("a"), item("b")]), expect!["good"]);
        check(
            check_items(&[item("a"), item("a")]),
            expect!["422 /items/1/resource_kind: a has an item already: /items/0"],
        );
        let capped = |cap| [PlanItem { hard_cap_qty: Some(Quantity::from(cap)), ..item("a") }];
        check(check_items(&capped(100)), expect!["good"]);
        check(check_items(&capped(99)), expect!["422 /items/0/hard_cap_qty: must not be below included_qty"]);
        let dear = PlanItem { overage_price_cents: Cents::new(-1), ..item("b") };
        check(
            check_items(&[item("a"), dear]),
            expect!["422 /items/1/overage_price_cents: must be 0 to 100000000000 cents"],
        );
        let many: Vec<PlanItem> = (0..33).map(|number| item(&format!("k{number}"))).collect();
        check(check_items(&many[..32]), expect!["good"]);
        check(check_items(&many), expect!["422 /items: must be at most 32 items"]);
    }
}
