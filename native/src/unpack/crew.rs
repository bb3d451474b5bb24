//! Threads that write small files while another brings them.
use super::writer::{Hand, Writing};
use crate::cores::cores;
use crate::failure::{Code, Failure, Result};
use crate::pieces::neighbour_failed;
use crate::session::lock;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Batches that wait.
const DEPTH: usize = 3;
const MAX_THREADS: usize = 4;

/// Threads for writing: one fewer than there are cores, because the bytes come from somewhere as well.
pub fn threads() -> usize {
    cores().saturating_sub(1).clamp(1, MAX_THREADS)
}

/// What waits for the threads, which take it in no certain order.
pub struct Crew<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    busy: usize,
    is_over: bool,
    failure: Option<Failure>,
}

impl<T> Crew<T> {
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), busy: 0, is_over: false, failure: None };
        Crew { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands something over. When enough is waiting it is given back: who brings it helps, then, by doing it himself.
    /// Fails when a thread failed.
    pub fn offer(&self, task: T) -> Result<Option<T>> {
        let mut state = self.wait(|_| false)?;
        if state.waiting.len() >= DEPTH {
            return Ok(Some(task));
        }
        state.waiting.push_back(task);
        drop(state);
        self.changed.notify_all();
        Ok(None)
    }

    /// Waits until all that was given is done.
    pub fn settle(&self) -> Result<()> {
        self.wait(|state| state.busy > 0 || !state.waiting.is_empty()).map(drop)
    }

    /// Nothing more comes: the threads end. Fails with what one of them failed with.
    pub fn end(&self) -> Result<()> {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
        let settled = self.settle();
        match lock(&self.state).failure.take() {
            Some(failure) => Err(failure),
            None => settled,
        }
    }

    fn wait(&self, is_early: impl Fn(&State<T>) -> bool) -> Result<MutexGuard<'_, State<T>>> {
        let mut state = lock(&self.state);
        loop {
            if state.failure.is_some() {
                return Err(neighbour_failed());
            }
            if !is_early(&state) {
                return Ok(state);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What each thread does, until the end.
    pub fn work(&self, root: OwnedFd, writing: &Writing<'_>, act: impl Fn(&mut Hand<'_>, T) -> Result<()>) {
        let mut hand = Hand::new(root, writing);
        loop {
            let mut state = lock(&self.state);
            let task = loop {
                match state.waiting.pop_front() {
                    Some(task) => break task,
                    None if state.is_over || state.failure.is_some() => return,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            state.busy += 1;
            drop(state);
            self.changed.notify_all();
            // Also a thread that panics must not let the others wait.
            let mut done = Done { crew: self, failure: Some(panicked()) };
            hand.catch_up();
            done.failure = act(&mut hand, task).err();
        }
    }
}

fn panicked() -> Failure {
    Failure::new(Code::Protocol, "the core has a defect: a thread panicked")
}

/// Tells that a task is done, however it ended.
struct Done<'a, T> {
    crew: &'a Crew<T>,
    failure: Option<Failure>,
}

impl<T> Drop for Done<'_, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.crew.state);
        state.busy -= 1;
        if let Some(failure) = self.failure.take() {
            state.failure.get_or_insert(failure);
            state.waiting.clear();
        }
        drop(state);
        self.crew.changed.notify_all();
    }
}
