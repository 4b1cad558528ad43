// Threads that call a C library all the while, and a main thread that tells what it says.
use std::io::{stdin, BufRead};
use std::os::raw::{c_int, c_ulong};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

extern "C" {
    fn version() -> c_int;
    fn number_of_calls() -> c_ulong;
}

static ENDS: AtomicBool = AtomicBool::new(false);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

fn work() -> Result<(), String> {
    let mut texts = Vec::new();
    while !ENDS.load(Ordering::Relaxed) {
        let found = unsafe { version() };
        texts.push(format!("version {found}"));
        if !(1..=2).contains(&found) {
            return Err(texts.pop().unwrap());
        }
        if texts.len() > 1000 {
            texts.clear();
        }
        ROUNDS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn main() {
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(work)).collect();
    println!("ready {}", unsafe { number_of_calls() });
    for _line in stdin().lock().lines() {
        println!("version {}", unsafe { version() });
    }
    ENDS.store(true, Ordering::Relaxed);
    let wrong = threads.into_iter().map(|it| it.join().unwrap()).filter(Result::is_err).count();
    println!("end {wrong} {}", ROUNDS.load(Ordering::Relaxed) > 1000);
}
