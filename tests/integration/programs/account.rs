//! An extension module by PyO3: statics, objects with state, errors and panics. BASE and NAME are those of the version.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Mutex;

const BASE: i64 = 1;
const NAME: &str = "one";

static TAKEN: AtomicI64 = AtomicI64::new(0);
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static CALLS: Cell<i64> = const { Cell::new(0) };
}

fn fee_of(amount: i64) -> i64 {
    amount / 10 + BASE
}

/// A fee, all fees so far, and how often this thread has asked.
#[pyfunction]
#[pyo3(signature = (amount, times = 1))]
fn fee(amount: i64, times: i64) -> (i64, i64, i64) {
    let fee = fee_of(amount) * times;
    let calls = CALLS.with(|it| {
        it.set(it.get() + 1);
        it.get()
    });
    (fee, TAKEN.fetch_add(fee, Ordering::SeqCst) + fee, calls)
}

#[pyclass]
struct Account {
    #[pyo3(get, set)]
    owner: String,
    balances: BTreeMap<String, i64>,
}

#[pymethods]
impl Account {
    #[new]
    fn new(owner: String) -> Self {
        Account {
            owner,
            balances: BTreeMap::new(),
        }
    }

    fn deposit(&mut self, currency: String, amount: i64) -> PyResult<i64> {
        if amount < 0 {
            return Err(PyValueError::new_err(format!("{NAME} takes nothing like {amount}")));
        }
        let balance = self.balances.entry(currency).or_insert(0);
        *balance += amount - fee_of(amount);
        LOG.lock().unwrap().push(format!("{NAME}:{amount}"));
        Ok(*balance)
    }

    fn of(&self, currency: &str) -> i64 {
        match self.balances.get(currency) {
            Some(it) => *it,
            None => panic!("{NAME} has no {currency}"),
        }
    }

    #[getter]
    fn log(&self) -> String {
        LOG.lock().unwrap().join(" ")
    }

    fn __len__(&self) -> usize {
        self.balances.len()
    }

    fn __repr__(&self) -> String {
        format!("<{} in {NAME}>", self.owner)
    }
}

#[pymodule]
fn account(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fee, module)?)?;
    module.add_class::<Account>()
}
