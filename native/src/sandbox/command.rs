//! Becoming the command of a plan.
use super::calls::{execute, keep_standard_streams_only};
use crate::failure::{Code, Failure};
use rustix::fs::{stat, FileType};
use rustix::io::Errno;
use std::ffi::CString;

/// Executes the command. Returns only why that could not be: a failure of code `exec`, in the words of runc.
pub fn become_command(command: &[String], environment: &[String]) -> Failure {
    let Some(name) = command.first().filter(|name| !name.is_empty()) else {
        return Failure::new(Code::Exec, "there is no command");
    };
    let (Some(arguments), Some(variables)) = (strings(command), strings(environment)) else {
        return Failure::new(Code::Exec, format!("exec {name}: an argument or a variable has a zero byte in it"));
    };
    match keep_standard_streams_only() {
        // A root of its own may have no /proc to look into; the core has done the same before, where there was one.
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Failure::new(Code::Exec, format!("exec {name}: close_range: {}", reason(error))),
    }
    let mut denied = None;
    for candidate in candidates(name, environment) {
        let Ok(path) = CString::new(candidate.as_str()) else { continue };
        match execute(&path, &arguments, &variables) {
            Errno::NOENT | Errno::NOTDIR if stat(candidate.as_str()).is_err() => {}
            Errno::ACCESS | Errno::PERM => {
                denied.get_or_insert(candidate);
            }
            error => return Failure::new(Code::Exec, format!("exec {candidate}: {}", reason(error))),
        }
    }
    let quoted = serde_json::Value::from(name.as_str());
    let message = match denied {
        Some(path) if is_folder(&path) => format!("exec: {quoted}: is a directory"),
        Some(_) => format!("exec: {quoted}: permission denied"),
        None if name.contains('/') => format!("exec: {quoted}: stat {name}: no such file or directory"),
        None => format!("exec: {quoted}: executable file not found in $PATH"),
    };
    Failure::new(Code::Exec, message)
}

/// The paths that a name may mean, in the order in which they are tried.
fn candidates(name: &str, environment: &[String]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = environment.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let folders = path.split(':').map(|folder| if folder.is_empty() { "." } else { folder });
    folders.map(|folder| format!("{folder}/{name}")).collect()
}

/// A folder on the PATH that has the command's name is passed over, as a shell does.
fn is_folder(path: &str) -> bool {
    stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

fn strings(texts: &[String]) -> Option<Vec<CString>> {
    texts.iter().map(|text| CString::new(text.as_str()).ok()).collect()
}

fn reason(error: Errno) -> String {
    let text = match error {
        Errno::NOEXEC => "exec format error",
        // The file is there: what is missing is what it is to be interpreted or loaded by.
        Errno::NOENT => "no such file or directory",
        Errno::TOOBIG => "argument list too long",
        Errno::TXTBSY => "text file busy",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::NOMEM => "cannot allocate memory",
        _ => return super::fault::error_name(error),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &[&str], environment: &[&str]) -> String {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let failure = become_command(&owned(command), &owned(environment));
        assert_eq!(failure.code, Code::Exec);
        failure.message
    }

    #[test]
    fn what_cannot_be_executed_is_told_as_runc_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("plain"), "text").unwrap();
        std::fs::write(at("strange"), "\0\u{1}").unwrap();
        std::fs::write(at("orphan"), "#!/no/such/interpreter\n").unwrap();
        for name in ["strange", "orphan"] {
            std::fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let path = format!("PATH=/nowhere:{}", folder.path().display());
        assert_eq!(said(&["nosuch"], &[&path]), "exec: \"nosuch\": executable file not found in $PATH");
        assert_eq!(said(&["nosuch"], &[]), "exec: \"nosuch\": executable file not found in $PATH");
        assert_eq!(said(&["/no/such"], &[]), "exec: \"/no/such\": stat /no/such: no such file or directory");
        assert_eq!(said(&["plain"], &[&path]), "exec: \"plain\": permission denied");
        assert_eq!(said(&["/tmp"], &[]), "exec: \"/tmp\": is a directory");
        assert_eq!(said(&["strange"], &[&path]), format!("exec {}: exec format error", at("strange")));
        assert_eq!(said(&["orphan"], &[&path]), format!("exec {}: no such file or directory", at("orphan")));
        assert_eq!(said(&[], &[]), "there is no command");
        assert_eq!(said(&["a\0b"], &[]), "exec a\0b: an argument or a variable has a zero byte in it");
    }
}
