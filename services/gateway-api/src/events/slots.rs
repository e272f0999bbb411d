//! How many streams a caller and a tenant may hold open.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use contracts::{Problem, TenantId};

use crate::{auth::Caller, problem::Failure};

/// Most streams of one subject.
const PER_SUBJECT: usize = 5;
/// Most streams of one tenant.
const PER_TENANT: usize = 100;
/// Most streams in all: the rest of the connections is for everything else.
const IN_ALL: usize = 384;

/// The streams that are open, by tenant and subject. Clones share one count.
#[derive(Clone, Default)]
pub struct Slots(Arc<Mutex<HashMap<TenantId, HashMap<String, usize>>>>);

/// One open stream; given back when dropped.
pub(crate) struct Slot {
    slots: Slots,
    tenant: TenantId,
    subject: String,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, HashMap<String, usize>>> {
        self.0.lock().expect("nothing panics while the streams are counted")
    }

    /// Takes a slot, or refuses with 429.
    pub(crate) fn take(&self, caller: &Caller) -> Result<Slot, Failure> {
        let mut tenants = self.lock();
        let in_all: usize = tenants.values().flat_map(HashMap::values).sum();
        let subjects = tenants.get(caller.tenant());
        let of_tenant: usize = subjects.map_or(0, |subjects| subjects.values().sum());
        let of_subject =
            subjects.and_then(|subjects| subjects.get(caller.subject())).copied().unwrap_or_default();
        if of_subject >= PER_SUBJECT || of_tenant >= PER_TENANT || in_all >= IN_ALL {
            return Err(Problem::new(
                429,
                "Too Many Requests",
                format!(
                    "At most {PER_SUBJECT} streams a caller, {PER_TENANT} a tenant and {IN_ALL} in all; close one \
                     first, or come back later."
                ),
            )
            .into());
        }
        let subjects = tenants.entry(caller.tenant().clone()).or_default();
        subjects.insert(caller.subject().to_owned(), of_subject + 1);
        metrics::gauge!("event_streams").increment(1.0);
        Ok(Slot {
            slots: self.clone(),
            tenant: caller.tenant().clone(),
            subject: caller.subject().to_owned(),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        metrics::gauge!("event_streams").decrement(1.0);
        let mut tenants = self.slots.lock();
        let Some(subjects) = tenants.get_mut(&self.tenant) else { return };
        if let Some(count) = subjects.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                subjects.remove(&self.subject);
            }
        }
        if subjects.is_empty() {
            tenants.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_holds_five_and_a_tenant_a_hundred() {
        let slots = Slots::default();
        let ann = Caller::named("acme", "ann");
        let mut held: Vec<Slot> =
            (0..5).map(|_| slots.take(&ann).unwrap_or_else(|_| unreachable!())).collect();
        assert_eq!(slots.take(&ann).err().map(|failure| failure.status().as_u16()), Some(429));
        // The same subject of another tenant is someone else.
        assert!(slots.take(&Caller::named("other", "ann")).is_ok());
        held.pop();
        held.extend(slots.take(&ann).ok());
        assert_eq!(held.len(), 5);

        for index in 0..95 {
            held.extend(slots.take(&Caller::named("acme", &format!("user-{index}"))).ok());
        }
        assert_eq!(held.len(), 100);
        assert!(slots.take(&Caller::named("acme", "one-more")).is_err());
        drop(held);
        assert!(slots.lock().is_empty());
    }

    #[test]
    fn streams_leave_connections_for_everything_else() {
        const { assert!(IN_ALL < crate::server::CONNECTIONS_MAX) };
        let slots = Slots::default();
        let take =
            |index: usize| slots.take(&Caller::named(&format!("tenant-{}", index % 8), &index.to_string()));
        let held: Vec<Slot> =
            (0..IN_ALL).map(|index| take(index).unwrap_or_else(|_| unreachable!())).collect();
        assert_eq!(take(IN_ALL).err().map(|failure| failure.status().as_u16()), Some(429));
        assert!(slots.take(&Caller::named("elsewhere", "ann")).is_err());
        drop(held);
        assert!(slots.lock().is_empty(), "a refusal leaves nothing behind");
    }
}
