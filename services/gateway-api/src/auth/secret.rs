//! Secrets that tokens are signed with: which ones are too weak to start with.

use secrecy::{ExposeSecret, SecretString};

/// Fewest bytes of a secret: the least that `mix guardian.gen.secret` makes.
pub const BYTES_MIN: usize = 32;
/// What HS512 deserves (RFC 7518 §3.2); less is a warning.
pub const BYTES_ENOUGH: usize = 64;

/// Words that stand in examples. A secret that is one of them repeated, or padded with one byte, is public.
const DENIED: [&str; 12] = [
    "secret",
    "changeme",
    "change-me",
    "password",
    "default",
    "example",
    "test",
    "development",
    "jwt",
    "jwt_secret",
    "arcadia",
    "your-256-bit-secret",
];

/// A secret that anyone could guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Too short to resist a search.
    #[error("the secret is shorter than {BYTES_MIN} bytes")]
    Short,
    /// A word from an example.
    #[error("the secret is a well-known word")]
    WellKnown,
    /// One byte, over and over.
    #[error("the secret is one byte repeated")]
    Repeated,
    /// A NUL inside: cut off by whoever handles it as a C string.
    #[error("the secret contains a NUL byte")]
    Nul,
}

/// Checks a secret.
pub fn check(secret: &SecretString) -> Result<(), WeakSecret> {
    let text = secret.expose_secret();
    let bytes = text.as_bytes();
    let word = text.trim().to_ascii_lowercase();
    if DENIED.iter().any(|denied| is_made_of(&word, denied)) {
        return Err(WeakSecret::WellKnown);
    }
    if bytes.len() < BYTES_MIN {
        return Err(WeakSecret::Short);
    }
    if bytes.contains(&0) {
        return Err(WeakSecret::Nul);
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(WeakSecret::Repeated);
    }
    Ok(())
}

/// `word` once or more often, and then perhaps one byte repeated.
fn is_made_of(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word).map(|rest| rest.trim_start_matches(word));
    rest.is_some_and(|rest| rest.bytes().all(|byte| Some(byte) == rest.bytes().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_refused() {
        let check = |text: &str| check(&text.to_owned().into());
        assert_eq!(check(""), Err(WeakSecret::Short));
        assert_eq!(check("short but not a word"), Err(WeakSecret::Short));
        assert_eq!(check("secret"), Err(WeakSecret::WellKnown));
        assert_eq!(check("ChangeMe"), Err(WeakSecret::WellKnown));
        assert_eq!(check("secretsecretsecretsecretsecretsecret"), Err(WeakSecret::WellKnown));
        assert_eq!(check("secret00000000000000000000000000000000"), Err(WeakSecret::WellKnown));
        assert_eq!(check(&"x".repeat(64)), Err(WeakSecret::Repeated));
        assert_eq!(check("0123456789\0abcdefghijklmnopqrstuvwxyz"), Err(WeakSecret::Nul));
        assert_eq!(check("0123456789abcdefghijklmnopqrstu"), Err(WeakSecret::Short));
        assert_eq!(check("0123456789abcdefghijklmnopqrstuv"), Ok(()));
    }
}
