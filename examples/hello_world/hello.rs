#![no_std]
#![crate_type = "cdylib"]

// C's types on x86-64: core::ffi has names for them since Rust 1.64, and Debian 12 has 1.63
extern "C" {
    fn printf(format: *const i8, ...) -> i32;
    fn puts(line: *const i8) -> i32;
    fn getpid() -> i32;
}

static mut COUNTER: u64 = 0;

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
