//! Open descriptors that the process of the command hands to the one that watches it.
use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, socketpair, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A listening socket; its connections are to go to the socket of the plan's mount of this number.
    Socket(u16),
    /// The listener of a filter of system calls.
    Supervised,
    /// A file that says which layers the next `FuseDevice` is for.
    Layers,
    /// The device by which a mount is to be served.
    FuseDevice,
}

/// Two ends that descriptors pass between.
pub fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

pub fn give(end: BorrowedFd<'_>, purpose: Purpose, descriptor: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let (tag, number) = match purpose {
        Purpose::Socket(number) => (0, number),
        Purpose::Supervised => (1, 0),
        Purpose::Layers => (2, 0),
        Purpose::FuseDevice => (3, 0),
    };
    let [low, high] = number.to_le_bytes();
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(end, &[IoSlice::new(&[tag, low, high])], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// The next descriptor; `None` when the other end is closed.
pub fn take(end: BorrowedFd<'_>) -> rustix::io::Result<Option<(Purpose, OwnedFd)>> {
    let mut bytes = [0u8; 3];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(end, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let [tag, low, high] = bytes;
    let purpose = match tag {
        0 => Purpose::Socket(u16::from_le_bytes([low, high])),
        1 => Purpose::Supervised,
        2 => Purpose::Layers,
        3 => Purpose::FuseDevice,
        _ => return Err(Errno::BADMSG),
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            return descriptors.next().map(|descriptor| Some((purpose, descriptor))).ok_or(Errno::BADMSG);
        }
    }
    Err(Errno::BADMSG)
}

/// Both ends of it, for those who have `OwnedFd`s.
pub fn give_owned(end: &OwnedFd, purpose: Purpose, descriptor: impl AsFd) -> rustix::io::Result<()> {
    give(end.as_fd(), purpose, descriptor.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_arrives_with_its_purpose() {
        let (near, far) = pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        give_owned(&near, Purpose::Socket(700), &writer).unwrap();
        give_owned(&near, Purpose::Supervised, &reader).unwrap();
        drop((near, writer));
        let (purpose, writer) = take(far.as_fd()).unwrap().unwrap();
        assert_eq!(purpose, Purpose::Socket(700));
        std::fs::File::from(writer).write_all(b"x").unwrap();
        assert_eq!(take(far.as_fd()).unwrap().unwrap().0, Purpose::Supervised);
        assert!(take(far.as_fd()).unwrap().is_none());
        let mut text = String::new();
        std::fs::File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
