//! The part of litbuild's plugin contract that a build store needs, as declared in <litbuild/plugin.h>, contract 1.0.
//! A table of 1.0 ends behind `remove`; newer engines read zeroes behind it, which is "not supported".
#![allow(dead_code)]

use std::os::raw::{c_char, c_int, c_void};

pub const ABI: u32 = 1 << 16;
pub const STORE_ID: &[u8] = b"litbuild.store/1";

pub const OK: i32 = 0;
pub const NOT_FOUND: i32 = 1;
pub const EXISTS: i32 = 2;
pub const DENIED: i32 = 3;
pub const INVALID: i32 = 4;
pub const UNAVAILABLE: i32 = 6;
pub const NO_SPACE: i32 = 7;
pub const CORRUPT: i32 = 8;
pub const CANCELLED: i32 = 9;
pub const TIMEOUT: i32 = 10;
pub const INTERNAL: i32 = 11;
pub const REFUSED: i32 = 12;

pub const LIVE: u32 = 1;
pub const ARCHIVED: u32 = 2;
pub const PARALLEL: u32 = 1;
pub const LOCAL_PATH: u64 = 4;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub data: *const u8,
    pub size: usize,
}

#[repr(C)]
pub struct Error {
    pub struct_size: u32,
    pub os_errno: i32,
    pub message: [c_char; 504],
}

#[repr(C)]
pub struct Call {
    pub struct_size: u32,
    pub cancel_fd: i32,
    pub deadline_ns: i64,
    pub cancelled: Option<unsafe extern "C" fn(*const Call) -> c_int>,
}

#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi: u32,
    pub name: Str,
    pub version: Str,
    pub ctx: *mut c_void,
    pub log: Option<unsafe extern "C" fn(*mut c_void, i32, Str)>,
    pub now_ns: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
    pub service: Option<unsafe extern "C" fn(*mut c_void, Str) -> *const c_void>,
}

#[repr(C)]
pub struct Build {
    pub struct_size: u32,
    pub reserved: u32,
    pub team: Str,
    pub runid: i64,
}

#[repr(C)]
pub struct Entry {
    pub struct_size: u32,
    pub scope: u32,
    pub runid: i64,
    pub path: Str,
}

#[repr(C)]
pub struct Query {
    pub struct_size: u32,
    pub scope: u32,
    pub team: Str,
    pub before: i64,
    pub limit: u64,
}

#[repr(C)]
pub struct File {
    pub struct_size: u32,
    pub reserved: u32,
    pub name: Str,
    pub content: Str,
}

#[repr(C)]
pub struct NewBuild {
    pub struct_size: u32,
    pub reserved: u32,
    pub team: Str,
    pub uuid: Str,
    pub document: Str,
    pub files: *const File,
    pub file_count: usize,
}

pub type TextFn = unsafe extern "C" fn(*mut c_void, Str) -> c_int;
pub type EntriesFn = unsafe extern "C" fn(*mut c_void, *const Entry, usize) -> c_int;
pub type OneFn =
    unsafe extern "C" fn(*mut c_void, *const Call, *const Build, EntriesFn, *mut c_void, *mut Error) -> i32;

#[repr(C)]
pub struct Store {
    pub struct_size: u32,
    pub threads: u32,
    pub open: unsafe extern "C" fn(*const Host, Str, *mut *mut c_void, *mut Error) -> i32,
    pub close: unsafe extern "C" fn(*mut c_void),
    pub capabilities: unsafe extern "C" fn(*mut c_void) -> u64,
    pub teams: unsafe extern "C" fn(*mut c_void, *const Call, TextFn, *mut c_void, *mut Error) -> i32,
    pub list: unsafe extern "C" fn(*mut c_void, *const Call, *const Query, EntriesFn, *mut c_void, *mut Error) -> i32,
    pub find: OneFn,
    pub create:
        unsafe extern "C" fn(*mut c_void, *const Call, *const NewBuild, EntriesFn, *mut c_void, *mut Error) -> i32,
    pub archive: OneFn,
    pub restore: OneFn,
    pub tags: unsafe extern "C" fn(*mut c_void, *const Call, *const Build, TextFn, *mut c_void, *mut Error) -> i32,
    pub edit_tags: unsafe extern "C" fn(
        *mut c_void,
        *const Call,
        *const Build,
        *const Str,
        usize,
        *const Str,
        usize,
        *mut Error,
    ) -> i32,
    pub read: unsafe extern "C" fn(
        *mut c_void,
        *const Call,
        *const Build,
        Str,
        u64,
        u64,
        TextFn,
        *mut c_void,
        *mut Error,
    ) -> i32,
    pub write_control: unsafe extern "C" fn(*mut c_void, *const Call, *const Build, Str, Str, *mut Error) -> i32,
    pub remove: unsafe extern "C" fn(*mut c_void, *const Call, *const Build, *mut Error) -> i32,
}

#[repr(C)]
pub struct Plugin {
    pub struct_size: u32,
    pub abi: u32,
    pub name: Str,
    pub version: Str,
    pub get: unsafe extern "C" fn(Str) -> *const c_void,
}

// Constant, and only read.
unsafe impl Sync for Plugin {}

/// Borrowed until the call returns.
pub unsafe fn bytes<'a>(text: Str) -> &'a [u8] {
    if text.data.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(text.data, text.size)
}

pub fn str_of(text: &[u8]) -> Str {
    Str {
        data: text.as_ptr(),
        size: text.len(),
    }
}

/// Rule 1: within the size that the error's author gave, with a zero byte at the end.
pub unsafe fn fill(error: *mut Error, sentence: &str, os_errno: i32) {
    const HEAD: usize = 8;
    if error.is_null() || ((*error).struct_size as usize) < HEAD {
        return;
    }
    (*error).os_errno = os_errno;
    let room = ((*error).struct_size as usize).min(std::mem::size_of::<Error>()) - HEAD;
    if room == 0 {
        return;
    }
    let mut size = sentence.len().min(room - 1);
    while !sentence.is_char_boundary(size) {
        size -= 1;
    }
    let message = (error as *mut u8).add(HEAD);
    std::ptr::copy_nonoverlapping(sentence.as_ptr(), message, size);
    *message.add(size) = 0;
}
