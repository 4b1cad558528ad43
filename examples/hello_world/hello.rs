#![no_std]
#![crate_type = "cdylib"]

use core::ffi::{c_char, c_int, c_ulong};

extern "C" {
    fn printf(format: *const c_char, ...) -> c_int;
    fn puts(line: *const c_char) -> c_int;
    fn getpid() -> c_int;
}

static mut COUNTER: c_ulong = 0;

#[no_mangle]
pub unsafe extern "C" fn hello() {
    COUNTER += 1;
    printf(b"[%d] hallo from Rust, call %lu\n\0".as_ptr().cast(), getpid(), COUNTER);
}

unsafe extern "C" fn begin() {
    puts(b"constructor of the Rust version\0".as_ptr().cast());
}

unsafe extern "C" fn end() {
    puts(b"destructor of the Rust version\0".as_ptr().cast());
}

#[used]
#[link_section = ".init_array"]
static BEGIN: unsafe extern "C" fn() = begin;

#[used]
#[link_section = ".fini_array"]
static END: unsafe extern "C" fn() = end;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
