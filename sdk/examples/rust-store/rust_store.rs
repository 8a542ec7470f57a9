//! A build store in Rust, with nothing but the standard library. Build 19 of contoso is the folder ROOT/contoso/19, or
//! ROOT/contoso/archive/19; ROOT/contoso/.used keeps the run id given last.
//!
//!     rustc --edition 2021 -O --crate-type cdylib -o rust-store.so rust_store.rs
//!
//! It takes any number of calls at once: what changes something holds a lock. Other processes are not kept out, and so it does
//! not promise LB_STORE_SHARED.
mod litbuild;

use litbuild::*;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::raw::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

struct Failure {
    code: i32,
    sentence: String,
    os_errno: i32,
}
type Result<T> = std::result::Result<T, Failure>;

fn failure(code: i32, sentence: String) -> Failure {
    Failure {
        code,
        sentence,
        os_errno: 0,
    }
}

fn os_failure(path: &Path) -> impl FnOnce(std::io::Error) -> Failure + '_ {
    use std::io::ErrorKind::*;
    move |e| Failure {
        code: match (e.kind(), e.raw_os_error()) {
            (NotFound, _) | (_, Some(20)) => NOT_FOUND,
            (AlreadyExists, _) => EXISTS,
            (PermissionDenied, _) => DENIED,
            (InvalidInput, _) | (_, Some(36)) => INVALID,
            (_, Some(28)) => NO_SPACE,
            _ => UNAVAILABLE,
        },
        sentence: format!("{}: {}", path.display(), e),
        os_errno: e.raw_os_error().unwrap_or(0),
    }
}

/// The only place where a panic and a failure meet the edge.
unsafe fn guarded(error: *mut Error, body: impl FnOnce() -> Result<()>) -> i32 {
    let failed = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return OK,
        Ok(Err(failed)) => failed,
        Err(_) => failure(INTERNAL, "rust-store: a fault of the plugin (it panicked)".into()),
    };
    fill(error, &failed.sentence, failed.os_errno);
    failed.code
}

struct RustStore {
    root: PathBuf,
    changing: Mutex<()>,
}

struct Place {
    path: PathBuf,
    scope: u32,
}

unsafe fn text<'a>(from: Str, what: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes(from)).map_err(|_| failure(INVALID, format!("{}: is not UTF-8", what)))
}

fn check_team(team: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if team.len() <= 63 && team.starts_with(|c: char| c.is_ascii_alphanumeric()) && team.chars().all(good) {
        return Ok(());
    }
    Err(failure(INVALID, format!("{:?}: is no team's name", team)))
}

/// A relative name whose parts are all plain names.
fn inside(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.ends_with('/') || name.contains("/./") || name.contains('\0') || !plain {
        return Err(failure(INVALID, format!("{:?}: is not the name of a file", name)));
    }
    Ok(path)
}

fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    fs::File::create(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(os_failure(path))
}

/// Readers see the old content or the new.
fn replace_file(path: &Path, content: &[u8]) -> Result<()> {
    let fresh = path.with_file_name(format!(
        "{}.new",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    write_file(&fresh, content)?;
    fs::rename(&fresh, path).map_err(os_failure(path))
}

/// Empty where there is no such file. One that cannot be read is not empty.
fn text_of(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(os_failure(path)),
    }
}

fn split_tags(line: &str) -> Vec<String> {
    line.trim_end_matches('\n')
        .split(',')
        .filter(|tag| !tag.is_empty())
        .map(String::from)
        .collect()
}

impl RustStore {
    fn open(config: &str) -> Result<RustStore> {
        // The engine writes compact JSON; a real plugin uses a JSON library.
        let root = config
            .split("\"root\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let root =
            PathBuf::from(root.ok_or_else(|| failure(INVALID, "rust-store: the configuration has no 'root'".into()))?);
        if !root.is_dir() {
            return Err(failure(NOT_FOUND, format!("{}: no such folder", root.display())));
        }
        Ok(RustStore {
            root,
            changing: Mutex::new(()),
        })
    }

    fn path(&self, team: &str, runid: i64, scope: u32) -> PathBuf {
        let folder = self.root.join(team);
        if scope == LIVE {
            folder.join(runid.to_string())
        } else {
            folder.join("archive").join(runid.to_string())
        }
    }

    fn find(&self, team: &str, runid: i64) -> Result<Place> {
        check_team(team)?;
        // Somebody may have moved it between the first two looks.
        for scope in [LIVE, ARCHIVED, LIVE] {
            let path = self.path(team, runid, scope);
            if runid > 0 && path.is_dir() {
                return Ok(Place { path, scope });
            }
        }
        Err(failure(NOT_FOUND, format!("{}/{}: no such build", team, runid)))
    }

    /// The highest run id first.
    fn list(&self, team: &str, wanted: u32, before: i64) -> Result<Vec<(i64, Place)>> {
        check_team(team)?;
        if !self.root.join(team).is_dir() {
            return Err(failure(NOT_FOUND, format!("{}: no such team", team)));
        }
        let mut out: Vec<(i64, Place)> = Vec::new();
        // As in find().
        for scope in [LIVE, ARCHIVED, LIVE] {
            let folder = if scope == LIVE {
                self.root.join(team)
            } else {
                self.root.join(team).join("archive")
            };
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(os_failure(&folder))?,
            };
            for entry in entries {
                let entry = entry.map_err(os_failure(&folder))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let runid = name.parse::<i64>().unwrap_or(0);
                if runid < 1 || runid.to_string() != name || (before > 0 && runid >= before) || wanted & scope == 0 {
                    continue;
                }
                out.push((
                    runid,
                    Place {
                        path: entry.path(),
                        scope,
                    },
                ));
            }
        }
        // What is moved meanwhile may have been seen twice.
        out.sort_by_key(|(runid, place)| (std::cmp::Reverse(*runid), place.scope));
        out.dedup_by_key(|(runid, _)| *runid);
        Ok(out)
    }

    fn next_runid(&self, team: &str) -> Result<i64> {
        let hint = self.root.join(team).join(".used");
        let used = text_of(&hint)?.trim().parse::<i64>().unwrap_or(0);
        let highest = self
            .list(team, LIVE | ARCHIVED, 0)?
            .first()
            .map_or(0, |(runid, _)| *runid);
        let next = used.max(highest) + 1;
        replace_file(&hint, next.to_string().as_bytes())?;
        Ok(next)
    }

    fn create(&self, team: &str, uuid: &str, document: &str, files: &[(&str, &[u8])]) -> Result<(i64, Place)> {
        check_team(team)?;
        for (name, _) in files {
            if inside(name)?.components().count() != 1 {
                return Err(failure(INVALID, format!("{:?}: is not a bare file name", name)));
            }
        }
        if inside(uuid)?.components().count() != 1 || !document.starts_with('{') {
            return Err(failure(
                INVALID,
                format!("{}: a new build's uuid or document makes no sense", team),
            ));
        }
        let _alone = self.changing.lock().unwrap();
        let folder = self.root.join(team);
        fs::create_dir_all(&folder).map_err(os_failure(&folder))?;
        let runid = self.next_runid(team)?;
        let draft = folder.join(format!(".new-{}", uuid));
        let path = self.path(team, runid, LIVE);
        // Made under a dotted name; the rename publishes it whole.
        let made = (|| {
            fs::create_dir_all(draft.join(".control")).map_err(os_failure(&draft))?;
            for (name, content) in files {
                write_file(&draft.join(name), content)?;
            }
            let rest = &document[1..];
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            write_file(
                &draft.join("build.json"),
                format!("{{\"runid\":{}{}{}", runid, comma, rest).as_bytes(),
            )?;
            fs::rename(&draft, &path).map_err(os_failure(&path))
        })();
        if made.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        made.map(|()| (runid, Place { path, scope: LIVE }))
    }

    fn move_to(&self, team: &str, runid: i64, scope: u32) -> Result<Place> {
        let _alone = self.changing.lock().unwrap();
        let now = self.find(team, runid)?;
        if now.scope == scope {
            return Ok(now);
        }
        let path = self.path(team, runid, scope);
        if scope == ARCHIVED {
            let folder = self.root.join(team).join("archive");
            fs::create_dir_all(&folder).map_err(os_failure(&folder))?;
        }
        fs::rename(&now.path, &path).map_err(os_failure(&path))?;
        Ok(Place { path, scope })
    }

    fn tags(&self, team: &str, runid: i64) -> Result<Vec<String>> {
        let place = self.find(team, runid)?;
        Ok(split_tags(&text_of(&place.path.join("tags"))?))
    }

    fn edit_tags(&self, team: &str, runid: i64, add: &[&str], remove: &[&str]) -> Result<()> {
        let _alone = self.changing.lock().unwrap();
        let mut tags = self.tags(team, runid)?;
        tags.retain(|tag| !remove.contains(&tag.as_str()));
        for tag in add {
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_string());
            }
        }
        replace_file(
            &self.find(team, runid)?.path.join("tags"),
            (tags.join(",") + "\n").as_bytes(),
        )
    }

    fn read(
        &self,
        team: &str,
        runid: i64,
        name: &str,
        offset: u64,
        max: u64,
        mut give: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        let place = self.find(team, runid)?;
        let path = place.path.join(inside(name)?);
        // No link in a build's folder leads out of it.
        let folder = fs::canonicalize(&place.path).map_err(os_failure(&place.path))?;
        if !fs::canonicalize(&path).map_err(os_failure(&path))?.starts_with(&folder) {
            return Err(failure(
                CORRUPT,
                format!("{}/{}: {:?} leads out of its folder", team, runid, name),
            ));
        }
        if !path.is_file() {
            return Err(failure(
                NOT_FOUND,
                format!("{}/{}: no such file {:?}", team, runid, name),
            ));
        }
        let mut file = fs::File::open(&path).map_err(os_failure(&path))?;
        file.seek(SeekFrom::Start(offset)).map_err(os_failure(&path))?;
        let mut left = if max > 0 { max } else { u64::MAX };
        let mut piece = [0u8; 16384];
        while left > 0 {
            let room = left.min(piece.len() as u64) as usize;
            let size = file.read(&mut piece[..room]).map_err(os_failure(&path))?;
            if size == 0 || !give(&piece[..size])? {
                return Ok(());
            }
            left -= size as u64;
        }
        Ok(())
    }

    fn write_control(&self, team: &str, runid: i64, name: &str, content: &[u8]) -> Result<()> {
        if inside(name)?.components().count() != 1 {
            return Err(failure(
                INVALID,
                format!("{:?}: is not the name of a control file", name),
            ));
        }
        let _alone = self.changing.lock().unwrap();
        replace_file(&self.find(team, runid)?.path.join(".control").join(name), content)
    }

    fn remove(&self, team: &str, runid: i64) -> Result<()> {
        let _alone = self.changing.lock().unwrap();
        let place = self.find(team, runid)?;
        if place.scope != ARCHIVED {
            return Err(failure(REFUSED, format!("{}/{}: is not archived", team, runid)));
        }
        fs::remove_dir_all(&place.path).map_err(os_failure(&place.path))
    }
}

// ------------------------------------------------------------------------------------------------------------ the edge

unsafe fn store<'a>(this: *mut c_void) -> &'a RustStore {
    &*(this as *const RustStore)
}

unsafe fn named<'a>(build: *const Build) -> Result<(&'a str, i64)> {
    Ok((text((*build).team, "team")?, (*build).runid))
}

/// False once the receiver has enough.
unsafe fn give(each: EntriesFn, ctx: *mut c_void, runid: i64, place: &Place) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let entry = Entry {
        struct_size: std::mem::size_of::<Entry>() as u32,
        scope: place.scope,
        runid,
        path: str_of(place.path.as_os_str().as_bytes()),
    };
    each(ctx, &entry, 1) == 0
}

unsafe fn words<'a>(list: *const Str, count: usize) -> Result<Vec<&'a str>> {
    (0..count).map(|i| text(*list.add(i), "tag")).collect()
}

unsafe extern "C" fn open(_: *const Host, config: Str, this: *mut *mut c_void, error: *mut Error) -> i32 {
    guarded(error, || {
        *this = Box::into_raw(Box::new(RustStore::open(text(
            config,
            "rust-store: the configuration",
        )?)?)) as *mut c_void;
        Ok(())
    })
}

unsafe extern "C" fn close(this: *mut c_void) {
    drop(Box::from_raw(this as *mut RustStore));
}

unsafe extern "C" fn capabilities(_: *mut c_void) -> u64 {
    LOCAL_PATH
}

unsafe extern "C" fn teams(
    this: *mut c_void,
    _: *const Call,
    each: TextFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let root = &store(this).root;
        for entry in fs::read_dir(root).map_err(os_failure(root))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_team(&name).is_ok() && entry.path().is_dir() && each(ctx, str_of(name.as_bytes())) != 0 {
                break;
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn list(
    this: *mut c_void,
    _: *const Call,
    query: *const Query,
    each: EntriesFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let query = &*query;
        let found = store(this).list(text(query.team, "team")?, query.scope, query.before)?;
        let limit = if query.limit > 0 {
            query.limit as usize
        } else {
            usize::MAX
        };
        for (runid, place) in found.iter().take(limit) {
            if !give(each, ctx, *runid, place) {
                break;
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn find(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    each: EntriesFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        give(each, ctx, runid, &store(this).find(team, runid)?);
        Ok(())
    })
}

unsafe extern "C" fn create(
    this: *mut c_void,
    _: *const Call,
    build: *const NewBuild,
    each: EntriesFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let build = &*build;
        let mut files = Vec::new();
        for i in 0..build.file_count {
            // Each element is as large as the first one says: the engine's struct may be longer than this one.
            let file = &*((build.files as *const u8).add(i * (*build.files).struct_size as usize) as *const File);
            files.push((text(file.name, "file")?, bytes(file.content)));
        }
        let (runid, place) = store(this).create(
            text(build.team, "team")?,
            text(build.uuid, "uuid")?,
            text(build.document, "document")?,
            &files,
        )?;
        give(each, ctx, runid, &place);
        Ok(())
    })
}

unsafe extern "C" fn archive(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    each: EntriesFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        give(each, ctx, runid, &store(this).move_to(team, runid, ARCHIVED)?);
        Ok(())
    })
}

unsafe extern "C" fn restore(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    each: EntriesFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        give(each, ctx, runid, &store(this).move_to(team, runid, LIVE)?);
        Ok(())
    })
}

unsafe extern "C" fn tags(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    each: TextFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        for tag in store(this).tags(team, runid)? {
            if each(ctx, str_of(tag.as_bytes())) != 0 {
                break;
            }
        }
        Ok(())
    })
}

unsafe extern "C" fn edit_tags(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    add: *const Str,
    add_count: usize,
    remove: *const Str,
    remove_count: usize,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        store(this).edit_tags(team, runid, &words(add, add_count)?, &words(remove, remove_count)?)
    })
}

unsafe extern "C" fn read(
    this: *mut c_void,
    call: *const Call,
    build: *const Build,
    name: Str,
    offset: u64,
    max: u64,
    each: TextFn,
    ctx: *mut c_void,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        store(this).read(team, runid, text(name, "file")?, offset, max, |piece| {
            if let Some(cancelled) = call.as_ref().and_then(|call| call.cancelled) {
                if cancelled(call) != 0 {
                    return Err(failure(CANCELLED, format!("{}/{}: cancelled", team, runid)));
                }
            }
            Ok(each(ctx, str_of(piece)) == 0)
        })
    })
}

unsafe extern "C" fn write_control(
    this: *mut c_void,
    _: *const Call,
    build: *const Build,
    name: Str,
    content: Str,
    error: *mut Error,
) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        store(this).write_control(team, runid, text(name, "control file")?, bytes(content))
    })
}

unsafe extern "C" fn remove(this: *mut c_void, _: *const Call, build: *const Build, error: *mut Error) -> i32 {
    guarded(error, || {
        let (team, runid) = named(build)?;
        store(this).remove(team, runid)
    })
}

static TABLE: Store = Store {
    struct_size: std::mem::size_of::<Store>() as u32,
    threads: PARALLEL,
    open,
    close,
    capabilities,
    teams,
    list,
    find,
    create,
    archive,
    restore,
    tags,
    edit_tags,
    read,
    write_control,
    remove,
};

unsafe extern "C" fn get(id: Str) -> *const c_void {
    if bytes(id) == STORE_ID {
        &TABLE as *const Store as *const c_void
    } else {
        std::ptr::null()
    }
}

const NAME: &[u8] = b"rust-store";
const VERSION: &[u8] = b"1.0.0";

#[no_mangle]
#[allow(non_upper_case_globals)]
pub static litbuild_plugin_v1: Plugin = Plugin {
    struct_size: std::mem::size_of::<Plugin>() as u32,
    abi: ABI,
    name: Str {
        data: NAME.as_ptr(),
        size: NAME.len(),
    },
    version: Str {
        data: VERSION.as_ptr(),
        size: VERSION.len(),
    },
    get,
};
