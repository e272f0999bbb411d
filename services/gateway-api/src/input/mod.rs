//! What comes in, parsed strictly: whatever is not understood is refused with the field named.

mod date;
mod idempotency;
mod json;
mod number;
mod parameters;
mod path;
mod period;
mod text;
mod time;

pub use date::Date;
pub use idempotency::EffectKey;
pub use json::{
    BODY_BYTES_LARGE, BODY_BYTES_MAX, BodyLimit, Json, JsonText, Nullable, Object, at_most, present,
};
pub use number::{Price, Whole, WrittenQuantity};
pub use parameters::Parameters;
pub(crate) use parameters::is_percent_encoded;
pub use path::{InPath, Owner};
pub use period::Period;
pub use text::{Text, is_plain};
pub use time::Time;
