//! How many requests a token still has. It makes callers wait, so that the provider need not refuse.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

const MINUTE_SECS: u64 = 60;
const HOUR_SECS: u64 = 3600;

/// How many requests fit into a minute and into an hour. A zero counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSize {
    /// The burst limit.
    pub per_minute: u32,
    /// The sustained limit.
    pub per_hour: u32,
}

/// The budgets of all tokens in the process, so that two clients of one token draw on one budget.
#[derive(Debug)]
pub struct Budgets {
    size: BudgetSize,
    /// By a keyed hash: the token itself is neither kept nor printed.
    by_token: Mutex<HashMap<u64, Arc<Budget>>>,
    hasher: RandomState,
}

impl Budgets {
    /// An empty registry whose budgets will have this size.
    pub fn new(size: BudgetSize) -> Self {
        Self { size, by_token: Mutex::default(), hasher: RandomState::new() }
    }

    /// The budget of a token, the same one every time.
    pub fn for_token(&self, token: &SecretString) -> Arc<Budget> {
        let key = self.hasher.hash_one(token.expose_secret());
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        by_token.entry(key).or_insert_with(|| Arc::new(Budget::new(self.size))).clone()
    }
}

/// The requests of one token, counted over sliding windows.
#[derive(Debug)]
pub struct Budget {
    window: Mutex<Window>,
    /// Held by whoever is first in line, so that waiting callers go one by one and in order.
    turn: tokio::sync::Mutex<()>,
}

impl Budget {
    /// A full budget.
    pub fn new(size: BudgetSize) -> Self {
        Self { window: Mutex::new(Window::new(size, Instant::now())), turn: tokio::sync::Mutex::default() }
    }

    /// Waits for room for one request. `Err` says how much longer it would have taken than `patience`.
    pub(crate) async fn acquire(&self, patience: Duration) -> Result<Permit<'_>, Duration> {
        let give_up = Instant::now() + patience;
        let Ok(_turn) = tokio::time::timeout_at(give_up, self.turn.lock()).await else {
            return Err(self.window().wait(Instant::now()).unwrap_or_default());
        };
        loop {
            let now = Instant::now();
            let Err(wait) = self.window().admit(now) else {
                return Ok(Permit { budget: self });
            };
            if now + wait > give_up {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Lets nobody through for a while: the provider has refused a request.
    pub(crate) fn block(&self, pause: Duration) {
        self.window().block(Instant::now() + pause);
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Every change to a window is complete in itself, so a panic elsewhere leaves it sound.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to send one request. It counts as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
}

impl Permit<'_> {
    /// Learns from the answer how much the provider says is left, others' requests with the same token
    /// included, and for how long that holds.
    pub fn learn(&self, remaining: u32, holds: Duration) {
        self.budget.window().learn(Instant::now() + holds, remaining);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.window().in_flight -= 1;
    }
}

/// The counting itself, with the clock as an argument.
///
/// Requests are counted by the second. A second leaves a window when all of it is older than the window, so
/// the count is never too low, and memory is bounded whatever the budget.
#[derive(Debug)]
struct Window {
    size: BudgetSize,
    start: Instant,
    /// (second since `start`, requests in it), oldest first.
    seconds: VecDeque<(u64, u32)>,
    /// The sum of `seconds`, which reach back an hour.
    hour_count: u64,
    blocked_until: Option<Instant>,
    credit: Option<Credit>,
    in_flight: u32,
}

/// What the provider said is left, and how long that is to be believed.
#[derive(Debug, Clone, Copy)]
struct Credit {
    left: u32,
    until: Instant,
}

impl Window {
    fn new(size: BudgetSize, start: Instant) -> Self {
        let size = BudgetSize { per_minute: size.per_minute.max(1), per_hour: size.per_hour.max(1) };
        Self {
            size,
            start,
            seconds: VecDeque::new(),
            hour_count: 0,
            blocked_until: None,
            credit: None,
            in_flight: 0,
        }
    }

    /// Counts one request, or says how long until there can be room.
    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.wait(now) {
            return Err(wait);
        }
        if let Some(credit) = &mut self.credit {
            credit.left -= 1;
        }
        let second = self.second(now);
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        self.hour_count += 1;
        self.in_flight += 1;
        Ok(())
    }

    /// How long until there can be room; `None` if there is.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let blocked = self.blocked_until.map(|until| until - now);
        let spent = self.credit.filter(|credit| credit.left == 0).map(|credit| credit.until - now);
        let second = self.second(now);
        let last_minute = self.seconds.iter().rev().take_while(|(at, _)| at + MINUTE_SECS + 1 > second);
        let (minute_count, minute_oldest) = last_minute
            .fold((0, None), |(count, _), (at, requests)| (count + u64::from(*requests), Some(*at)));
        let minute = minute_oldest
            .filter(|_| minute_count >= u64::from(self.size.per_minute))
            .map(|oldest| self.until_aged(now, oldest, MINUTE_SECS));
        let hour = self
            .seconds
            .front()
            .filter(|_| self.hour_count >= u64::from(self.size.per_hour))
            .map(|(oldest, _)| self.until_aged(now, *oldest, HOUR_SECS));
        [blocked, spent, minute, hour].into_iter().flatten().max()
    }

    /// How long until all of a second is older than the window.
    fn until_aged(&self, now: Instant, second: u64, window_secs: u64) -> Duration {
        self.start + Duration::from_secs(second + window_secs + 1) - now
    }

    fn forget(&mut self, now: Instant) {
        let second = self.second(now);
        while let Some((_, count)) = self.seconds.pop_front_if(|(at, _)| *at + HOUR_SECS < second) {
            self.hour_count -= u64::from(count);
        }
        self.blocked_until = self.blocked_until.filter(|until| *until > now);
        self.credit = self.credit.filter(|credit| credit.until > now);
    }

    fn block(&mut self, until: Instant) {
        self.blocked_until = self.blocked_until.max(Some(until));
    }

    fn learn(&mut self, until: Instant, remaining: u32) {
        // The one that was just answered is in the provider's count; the others in flight may not be.
        let others = self.in_flight.saturating_sub(1);
        self.credit = Some(Credit { left: remaining.saturating_sub(others), until });
    }

    fn second(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: BudgetSize = BudgetSize { per_minute: 3, per_hour: 5 };

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Admits at each time, in seconds, and writes down what happened.
    fn check(window: &mut Window, start: Instant, times: &[u64], want: &[Result<(), u64>]) {
        let got: Vec<_> =
            times.iter().map(|at| window.admit(start + secs(*at)).map_err(|wait| wait.as_secs())).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn a_burst_waits_until_its_first_request_is_a_minute_old() {
        let start = Instant::now();
        let mut window = Window::new(SIZE, start);
        check(
            &mut window,
            start,
            &[0, 0, 10, 10, 60, 61],
            &[Ok(()), Ok(()), Ok(()), Err(51), Err(1), Ok(())],
        );
    }

    #[test]
    fn the_hour_counts_as_well() {
        let start = Instant::now();
        let mut window = Window::new(SIZE, start);
        check(
            &mut window,
            start,
            &[0, 100, 200, 300, 400, 500, 3600, 3601, 3602],
            &[Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Err(3101), Err(1), Ok(()), Err(99)],
        );
    }

    #[test]
    fn memory_does_not_grow_with_the_budget() {
        let start = Instant::now();
        let mut window = Window::new(BudgetSize { per_minute: u32::MAX, per_hour: u32::MAX }, start);
        for at in 0..8000 {
            for _ in 0..5 {
                window.admit(start + secs(at)).unwrap();
            }
        }
        assert!(window.seconds.len() <= 3602, "{}", window.seconds.len());
    }

    #[test]
    fn what_the_provider_says_is_left_is_not_overdrawn() {
        let start = Instant::now();
        let mut window = Window::new(BudgetSize { per_minute: 100, per_hour: 100 }, start);
        window.admit(start).unwrap();
        window.admit(start).unwrap();
        // Two left, but one of ours is still in flight and may not have been counted.
        window.learn(start + secs(30), 2);
        check(&mut window, start, &[1, 1, 29, 30], &[Ok(()), Err(29), Err(1), Ok(())]);
    }

    #[test]
    fn a_block_holds_everyone_and_the_longer_one_counts() {
        let start = Instant::now();
        let mut window = Window::new(SIZE, start);
        window.block(start + secs(20));
        window.block(start + secs(5));
        check(&mut window, start, &[0, 19, 20], &[Err(20), Err(1), Ok(())]);
    }

    #[test]
    fn one_token_has_one_budget() {
        let budgets = Budgets::new(SIZE);
        let (a, b): (SecretString, SecretString) = ("dop_v1_aaaa".into(), "dop_v1_bbbb".into());
        assert!(Arc::ptr_eq(&budgets.for_token(&a), &budgets.for_token(&a)));
        assert!(!Arc::ptr_eq(&budgets.for_token(&a), &budgets.for_token(&b)));
        assert!(!format!("{budgets:?}").contains("dop_v1"));
    }

    #[tokio::test(start_paused = true)]
    async fn callers_wait_in_line_and_the_impatient_leave() {
        let budget = Budget::new(SIZE);
        for _ in 0..3 {
            budget.acquire(secs(1)).await.unwrap();
        }
        assert!(budget.acquire(secs(5)).await.is_err());
        let before = Instant::now();
        budget.acquire(secs(120)).await.unwrap();
        let waited = before.elapsed();
        assert!(waited > secs(59) && waited < secs(62), "{waited:?}");
        assert_eq!(budget.window().in_flight, 0);
    }
}
