//! Connections to a socket of the sandbox, passed on to one of the machine.
use std::io::copy;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Passes on the connections that `listener` gets to the socket at `source`, as long as this process lives.
pub fn serve(listener: UnixListener, source: String) {
    thread::spawn(move || loop {
        match listener.accept() {
            Ok((near, _)) => connect(near, &source),
            // Too many open files, or a peer that has given up: the next may do better.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    });
}

/// When there is nobody at the other end the connection ends at once, which is what its user has to be told.
fn connect(near: UnixStream, source: &str) {
    let Ok(far) = UnixStream::connect(source) else { return };
    let (near, far) = (Arc::new(near), Arc::new(far));
    for (from, to) in [(Arc::clone(&near), Arc::clone(&far)), (far, near)] {
        thread::spawn(move || pass(&from, &to));
    }
}

/// Passes bytes on in one direction.
fn pass(mut from: &UnixStream, mut to: &UnixStream) {
    let is_whole = copy(&mut from, &mut to).is_ok();
    let ends: &[_] = if is_whole { &[(to, Shutdown::Write)] } else { &[(to, Shutdown::Both), (from, Shutdown::Both)] };
    for (stream, how) in ends {
        // It fails when that end is gone already, which is what is wanted.
        stream.shutdown(*how).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn bytes_go_both_ways_until_each_end() {
        let folder = tempfile::tempdir().unwrap();
        let [inner, outer] = ["inner", "outer"].map(|name| folder.path().join(name));
        let machine = UnixListener::bind(&outer).unwrap();
        serve(UnixListener::bind(&inner).unwrap(), outer.to_str().unwrap().to_owned());
        let mut client = UnixStream::connect(&inner).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut server, _) = machine.accept().unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").unwrap();
        drop(server);
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
    }
}
