//! Why the control port refuses an input.

/// An input that cannot be used, and which part of it.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Rejected {
    /// Where, such as `droplets[3].id`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Rejected {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same, seen from an object that holds the field.
    pub fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), message: self.message }
    }
}
