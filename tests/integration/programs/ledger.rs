//! A library with every kind of state that Rust keeps: statics, thread-local variables, objects on the heap, trait
//! objects, a thread, a panic on its way. NAME and FEE come from the environment of the compiler: they make the versions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::Mutex;

const NAME: &str = env!("NAME");
const FEE: i64 = number(env!("FEE"));

const fn number(text: &str) -> i64 {
    let (mut value, mut index) = (0, 0);
    while index < text.len() {
        value = value * 10 + (text.as_bytes()[index] - b'0') as i64;
        index += 1;
    }
    value
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
#[cfg(more)]
static MORE: AtomicU64 = AtomicU64::new(7);

thread_local! {
    static TALLY: RefCell<Tally> = RefCell::new(Tally { deposits: 0 });
    #[cfg(more_in_threads)]
    static MORE_IN_THREADS: RefCell<[u64; 8]> = RefCell::new([7; 8]);
}

/// Counts in its thread, and says how far it came when the thread ends.
struct Tally {
    deposits: u64,
}

impl Drop for Tally {
    fn drop(&mut self) {
        println!("a thread ends after {}", self.deposits);
    }
}

trait Account: Send {
    fn deposit(&mut self, amount: i64);
    fn balance(&self) -> i64;
    fn describe(&self) -> String;
}

struct Plain {
    owner: String,
    balance: i64,
}

impl Account for Plain {
    fn deposit(&mut self, amount: i64) {
        if amount < 0 {
            panic!("{} takes no {}", NAME, amount);
        }
        self.balance += amount;
    }
    fn balance(&self) -> i64 {
        self.balance
    }
    fn describe(&self) -> String {
        format!("{} has {} in {}", self.owner, self.balance, NAME)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        LOG.lock().unwrap().push(format!("{} leaves with {}", self.owner, self.balance));
    }
}

struct Shared {
    parts: HashMap<String, i64>,
}

impl Account for Shared {
    fn deposit(&mut self, amount: i64) {
        let count = self.parts.len() as i64;
        self.parts.values_mut().for_each(|it| *it += amount / count);
    }
    fn balance(&self) -> i64 {
        self.parts.values().sum()
    }
    fn describe(&self) -> String {
        let mut names: Vec<_> = self.parts.keys().map(String::as_str).collect();
        names.sort_unstable();
        format!("{} have {} in {}", names.join("+"), self.balance(), NAME)
    }
}

/// What the program holds.
pub struct Book {
    accounts: Vec<Box<dyn Account>>,
    fees: i64,
}

#[no_mangle]
pub extern "C" fn book_open() -> *mut Book {
    let parts = ["ann", "bob"].map(|name| (name.to_string(), 0));
    Box::into_raw(Box::new(Book { accounts: vec![Box::new(Shared { parts: HashMap::from(parts) })], fees: 0 }))
}

/// Adds an account whose owner is named for the version that made it.
#[no_mangle]
pub unsafe extern "C" fn book_add(book: *mut Book) {
    (*book).accounts.push(Box::new(Plain { owner: format!("owner-{}", NAME), balance: 0 }));
}

extern "C" fn at_once() {}

#[no_mangle]
pub unsafe extern "C" fn book_deposit(book: *mut Book, amount: i64) -> i64 {
    book_deposit_after(book, amount, at_once)
}

/// Deposits in each account when `ready` has returned. Returns the sum of all; -1 after a panic, which is caught here.
#[no_mangle]
pub unsafe extern "C" fn book_deposit_after(book: *mut Book, amount: i64, ready: extern "C" fn()) -> i64 {
    CALLS.fetch_add(1, Ordering::Relaxed);
    TALLY.with(|it| it.borrow_mut().deposits += 1);
    let book = AssertUnwindSafe(&mut *book);
    let found = catch_unwind(move || {
        let AssertUnwindSafe(book) = { book };
        ready();
        if amount < -1000 {
            panic!("{} takes nothing like {}", NAME, amount);
        }
        for account in &mut book.accounts {
            account.deposit(amount - FEE);
            book.fees += FEE;
        }
        book.accounts.iter().map(|it| it.balance()).sum::<i64>() + book.fees
    });
    found.unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned().unwrap_or_default();
        LOG.lock().unwrap().push(text);
        -1
    })
}

#[no_mangle]
pub unsafe extern "C" fn book_print(book: *const Book) {
    for it in &(*book).accounts {
        println!("{}", it.describe());
    }
    let deposits = TALLY.with(|it| it.borrow().deposits);
    let log = std::mem::take(&mut *LOG.lock().unwrap());
    println!("{}: fees {}, calls {}, {} here, log {:?}", NAME, (*book).fees, CALLS.load(Ordering::Relaxed), deposits, log);
    #[cfg(more)]
    println!("more {}", MORE.fetch_add(1, Ordering::Relaxed));
    #[cfg(more_in_threads)]
    MORE_IN_THREADS.with(|it| {
        it.borrow_mut()[7] += 1;
        println!("more in threads {}", it.borrow()[7])
    });
    std::io::stdout().flush().unwrap();
}

#[no_mangle]
pub unsafe extern "C" fn book_close(book: *mut Book) {
    drop(Box::from_raw(book));
}

type Job = (usize, i64, Sender<i64>);

/// Starts a thread of the library, which deposits what it is sent.
#[no_mangle]
pub extern "C" fn worker_start() -> *mut c_void {
    let (sender, receiver) = channel::<Job>();
    std::thread::spawn(move || {
        for (book, amount, answer) in receiver {
            answer.send(unsafe { book_deposit(book as *mut Book, amount) }).unwrap();
        }
    });
    Box::into_raw(Box::new(sender)) as *mut c_void
}

#[no_mangle]
pub unsafe extern "C" fn worker_deposit(worker: *mut c_void, book: *mut Book, amount: i64) -> i64 {
    let (sender, receiver) = channel();
    (*(worker as *const Sender<Job>)).send((book as usize, amount, sender)).unwrap();
    receiver.recv().unwrap()
}

/// Lets the thread end when it has nothing to do any more.
#[no_mangle]
pub unsafe extern "C" fn worker_end(worker: *mut c_void) {
    drop(Box::from_raw(worker as *mut Sender<Job>));
}
