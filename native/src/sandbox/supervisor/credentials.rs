//! The ids that a process believes to have, and how calls change them. credentials(7), setresuid(2).
use rustix::io::Errno;

/// What a step's first process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// The four user ids, or the four group ids, of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ids {
    pub real: u32,
    pub effective: u32,
    pub saved: u32,
    /// Whom new files belong to.
    pub files: u32,
}

impl Ids {
    pub fn all(id: u32) -> Ids {
        Ids { real: id, effective: id, saved: id, files: id }
    }

    /// setuid(2), setgid(2).
    pub fn set(&mut self, id: Option<u32>, is_privileged: bool) -> Result<(), Errno> {
        let id = id.ok_or(Errno::INVAL)?;
        if is_privileged {
            *self = Ids::all(id);
        } else if id == self.real || id == self.saved {
            self.effective = id;
            self.files = id;
        } else {
            return Err(Errno::PERM);
        }
        Ok(())
    }

    /// setreuid(2), setregid(2). What is `None` stays.
    pub fn set_two(&mut self, real: Option<u32>, effective: Option<u32>, is_privileged: bool) -> Result<(), Errno> {
        let is_allowed = is_privileged
            || (real.is_none_or(|id| [self.real, self.effective].contains(&id))
                && effective.is_none_or(|id| self.has(id)));
        if !is_allowed {
            return Err(Errno::PERM);
        }
        let before = *self;
        self.real = real.unwrap_or(before.real);
        self.effective = effective.unwrap_or(before.effective);
        if real.is_some() || effective.is_some_and(|id| id != before.real) {
            self.saved = self.effective;
        }
        self.files = self.effective;
        Ok(())
    }

    /// setresuid(2), setresgid(2).
    pub fn set_three(&mut self, ids: [Option<u32>; 3], is_privileged: bool) -> Result<(), Errno> {
        if !is_privileged && !ids.iter().flatten().all(|id| self.has(*id)) {
            return Err(Errno::PERM);
        }
        let [real, effective, saved] = ids;
        self.real = real.unwrap_or(self.real);
        self.effective = effective.unwrap_or(self.effective);
        self.saved = saved.unwrap_or(self.saved);
        self.files = self.effective;
        Ok(())
    }

    /// setfsuid(2), setfsgid(2): tells what it was before, and never fails.
    pub fn set_files(&mut self, id: Option<u32>, is_privileged: bool) -> u32 {
        let before = self.files;
        if let Some(id) = id.filter(|id| is_privileged || *id == self.files || self.has(*id)) {
            self.files = id;
        }
        before
    }

    /// What execve(2) does; `owner` is that of a file with the set-id bit.
    pub fn execute(&mut self, owner: Option<u32>) {
        self.effective = owner.unwrap_or(self.effective);
        self.saved = self.effective;
        self.files = self.effective;
    }

    fn has(&self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }
}

/// All that a process is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub uid: Ids,
    pub gid: Ids,
    /// In the order in which the kernel keeps them: sorted.
    pub groups: Vec<u32>,
    /// Whether capabilities outlive the loss of root, `PR_SET_KEEPCAPS`.
    pub keeps: bool,
    /// Whether they have outlived it; which they are the kernel knows.
    pub kept: bool,
}

impl Identity {
    pub fn new(credentials: &Credentials) -> Identity {
        let mut groups = credentials.groups.clone();
        groups.sort_unstable();
        Identity { uid: Ids::all(credentials.uid), gid: Ids::all(credentials.gid), groups, keeps: false, kept: false }
    }

    /// Whether it has root's rights, as far as they go with the user id.
    pub fn is_root(&self) -> bool {
        self.uid.effective == 0
    }

    /// To be called after a change of the user ids, with what they were before.
    pub fn lose_rights(&mut self, before: Ids) {
        let is_any_root = |ids: Ids| ids.real == 0 || ids.effective == 0 || ids.saved == 0;
        if is_any_root(self.uid) {
            self.kept = false;
        } else if is_any_root(before) {
            self.kept = self.keeps;
        }
    }

    /// execve(2); owners are those of a file with a set-id bit.
    pub fn execute(&mut self, uid: Option<u32>, gid: Option<u32>) {
        self.uid.execute(uid);
        self.gid.execute(gid);
        self.keeps = false;
        self.kept = false;
    }

    /// Whether a group is one of its own.
    pub fn is_in(&self, gid: u32) -> bool {
        self.gid.files == gid || self.groups.binary_search(&gid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids { real, effective, saved, files: effective }
    }

    #[test]
    fn root_leaves_for_good() {
        let mut user = Ids::all(0);
        user.set_three([Some(42); 3], true).unwrap();
        assert_eq!(user, Ids::all(42));
        assert_eq!(user.set(Some(0), false), Err(Errno::PERM));
        assert_eq!(user.set_two(None, Some(0), false), Err(Errno::PERM));
        assert_eq!(user.set_three([None, Some(0), None], false), Err(Errno::PERM));
        assert_eq!(user.set_files(Some(0), false), 42);
        assert_eq!(user, Ids::all(42));
    }

    #[test]
    fn a_saved_id_leads_back() {
        let mut user = Ids::all(0);
        user.set_three([None, Some(7), None], true).unwrap();
        assert_eq!(user, ids(0, 7, 0));
        user.set(Some(0), false).unwrap();
        assert_eq!(user, ids(0, 0, 0));
    }

    #[test]
    fn two_ids_are_set_as_the_manual_says() {
        for (before, real, effective, privileged, expected) in [
            (ids(1, 2, 3), Some(2), None, false, Ok(ids(2, 2, 2))),
            (ids(1, 2, 3), None, Some(3), false, Ok(ids(1, 3, 3))),
            (ids(1, 2, 3), None, Some(1), false, Ok(ids(1, 1, 3))),
            (ids(1, 2, 3), Some(3), None, false, Err(Errno::PERM)),
            (ids(1, 2, 3), Some(9), Some(8), true, Ok(ids(9, 8, 8))),
            (ids(1, 2, 3), None, None, false, Ok(ids(1, 2, 3))),
        ] {
            let mut user = before;
            assert_eq!(user.set_two(real, effective, privileged).map(|()| user), expected, "{before:?}");
        }
    }

    #[test]
    fn invalid_ids_are_refused() {
        assert_eq!(Ids::all(0).set(None, true), Err(Errno::INVAL));
    }

    #[test]
    fn execve_saves_the_effective_id() {
        let mut user = ids(5, 5, 5);
        user.execute(Some(0));
        assert_eq!(user, ids(5, 0, 0));
        let mut user = ids(0, 7, 0);
        user.execute(None);
        assert_eq!(user, ids(0, 7, 7));
    }

    #[test]
    fn rights_are_kept_on_demand_until_the_next_program() {
        let mut identity = Identity::new(&Credentials::default());
        let before = identity.uid;
        identity.keeps = true;
        identity.uid.set_three([Some(7); 3], true).unwrap();
        identity.lose_rights(before);
        assert!(identity.kept && !identity.is_root());
        identity.execute(None, None);
        assert!(!identity.kept && !identity.keeps);

        let mut identity = Identity::new(&Credentials::default());
        identity.uid.set_two(None, Some(7), true).unwrap();
        identity.lose_rights(before);
        assert!(!identity.kept && !identity.is_root());
    }

    #[test]
    fn groups_are_sorted() {
        let identity = Identity::new(&Credentials { uid: 1, gid: 2, groups: vec![9, 3] });
        assert_eq!(identity.groups, [3, 9]);
        assert!(identity.is_in(3) && identity.is_in(2) && !identity.is_in(0));
    }
}
