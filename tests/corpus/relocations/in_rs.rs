// What Rust does: trait objects, closures, formatting, statics with locks, thread-locals, matches.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

static HITS: AtomicU64 = AtomicU64::new(3);
#[allow(clippy::declare_interior_mutable_const)]
const NONE: AtomicUsize = AtomicUsize::new(1);
static TABLE: [AtomicUsize; 8] = [NONE; 8];
static WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ONCE: Once = Once::new();
static mut PLAIN: [i32; 16] = [7; 16];
static NAMES: [&str; 4] = ["one", "two", "three", "four"];
thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(2) };
    static STACK: RefCell<Vec<String>> = RefCell::new(vec!["a".to_string()]);
}

trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> &'static str {
        NAMES[HITS.load(Ordering::Relaxed) as usize & 3]
    }
}
struct Square(f64);
struct Circle(f64);
impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}
impl Shape for Circle {
    fn area(&self) -> f64 {
        self.0 * self.0 * 3.14
    }
    fn name(&self) -> &'static str {
        "circle"
    }
}

fn boxed(n: i32) -> Box<dyn Shape> {
    if n & 1 == 0 { Box::new(Square(n as f64)) } else { Box::new(Circle(n as f64)) }
}

fn show(it: &dyn Display) -> String {
    format!("<{it:>5}>")
}

#[no_mangle]
pub extern "C" fn area(n: i32) -> f64 {
    let it = boxed(n);
    HITS.fetch_add(it.name().len() as u64, Ordering::SeqCst);
    it.area()
}

#[no_mangle]
pub extern "C" fn walk(n: u32) -> u32 {
    DEPTH.with(|it| it.set(it.get() + n));
    STACK.with(|it| it.borrow_mut().push(show(&n)));
    TABLE[n as usize % 8].fetch_add(1, Ordering::Relaxed);
    ONCE.call_once(|| WORDS.lock().unwrap().push("once".to_string()));
    unsafe { PLAIN[n as usize % 16] += 1 };
    DEPTH.with(|it| it.get()) + STACK.with(|it| it.borrow().len() as u32)
}

#[no_mangle]
pub extern "C" fn name_of(n: u32) -> u64 {
    let name = match n {
        0 => "none",
        1 => "a first",
        2 => "the second",
        3 => "a third",
        4 => "fourth",
        5 => "and the fifth",
        _ => panic!("no name for {}", n),
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    *counts.entry(name).or_default() += TABLE.len();
    counts[name] as u64
}

#[no_mangle]
pub extern "C" fn act(n: i32) -> i32 {
    let add: fn(i32) -> i32 = |k| k + 1;
    let sub: fn(i32) -> i32 = |k| k - HITS.load(Ordering::Relaxed) as i32;
    (if n > 3 { add } else { sub })(n)
}
