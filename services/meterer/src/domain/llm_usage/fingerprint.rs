//! What tells an event from every other that has its id.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Correction, Recorded, Tokens};

/// Sixteen bytes of SHA-256 over all values of an event, each in one spelling. They are kept for ever: how they come
/// about must never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(super) fn of_recorded(event: &Recorded) -> Self {
        let mut hash = Hash::new("recorded");
        hash.text(event.id.as_str());
        hash.text(event.tenant_id.as_str());
        hash.bytes(event.deployment_id.as_uuid().as_bytes());
        hash.text(&event.provider);
        hash.text(&event.model);
        hash.tokens(event.tokens);
        hash.charge(event.charge);
        hash.text(event.currency.as_str());
        hash.number(event.occurred_at.timestamp_micros());
        hash.text(&event.metadata);
        hash.end()
    }

    pub(super) fn of_correction(event: &Correction) -> Self {
        let mut hash = Hash::new(event.kind());
        hash.text(event.id.as_str());
        hash.text(event.request.as_str());
        hash.text(event.tenant_id.as_str());
        hash.bytes(event.deployment_id.as_uuid().as_bytes());
        if let Some(told) = event.told {
            hash.tokens(told.tokens);
            hash.charge(told.charge);
            hash.text(told.currency.as_str());
        }
        hash.text(&event.reason);
        hash.number(event.occurred_at.timestamp_micros());
        hash.end()
    }

    /// As it is stored; `None` when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it is stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Values with their lengths, so that no two lists of values are the same bytes.
struct Hash(Sha256);

impl Hash {
    fn new(kind: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.text(kind);
        hash
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn tokens(&mut self, tokens: Tokens) {
        self.number(tokens.prompt);
        self.number(tokens.completion);
        self.number(tokens.cached);
    }

    fn charge(&mut self, charge: money::Charge) {
        // Normalised, 0.10 and 0.1 have one mantissa and one scale.
        let charge = charge.get().normalize();
        self.0.update(charge.mantissa().to_be_bytes());
        self.0.update(charge.scale().to_be_bytes());
    }

    fn end(self) -> Fingerprint {
        let digest = self.0.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Fingerprint(bytes)
    }
}
