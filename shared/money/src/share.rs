//! A part of a whole, in days.

/// So many days of a period's days, at most all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    days: u32,
    of: u32,
}

/// More days than there are, or a period without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a share: {days} of {of} days")]
pub struct InvalidShare {
    days: u32,
    of: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { days: 1, of: 1 };

    /// `days` of `of` days.
    pub const fn new(days: u32, of: u32) -> Result<Self, InvalidShare> {
        if of == 0 || days > of { Err(InvalidShare { days, of }) } else { Ok(Self { days, of }) }
    }

    /// The part.
    pub const fn days(self) -> u32 {
        self.days
    }

    /// The whole.
    pub const fn of(self) -> u32 {
        self.of
    }
}
