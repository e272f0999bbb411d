//! What comes in, parsed strictly: whatever is not understood is refused with the field named.

mod idempotency;
mod json;
mod parameters;
mod path;
mod text;
mod time;

pub use idempotency::EffectKey;
pub use json::{BODY_BYTES_MAX, Json, Nullable, present};
pub use parameters::Parameters;
pub(crate) use parameters::is_percent_encoded;
pub use path::{InPath, Owner};
pub use text::{Text, is_plain};
pub use time::Time;
