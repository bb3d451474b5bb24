//! Makes a program of the classic Berkeley packet filter out of a table of rules. seccomp(2), "Filters".
use super::numbers::X32_BIT;

/// An instruction: `struct sock_filter` of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub value: u32,
}

pub const LOAD: u16 = 0x20;
pub const AND: u16 = 0x54;
pub const JUMP: u16 = 0x05;
pub const JUMP_IF_EQUAL: u16 = 0x15;
pub const JUMP_IF_AT_LEAST: u16 = 0x35;
pub const JUMP_IF_SET: u16 = 0x45;
pub const RETURN: u16 = 0x06;

/// Longest distance of a conditional jump.
const FAR: usize = u8::MAX as usize;

/// Offsets in `struct seccomp_data`. Of an argument only the lower half is looked at: what is tested here is an `int` or a
/// `mode_t`, of which the kernel takes no more.
pub const NUMBER: u32 = 0;
pub const ARCHITECTURE: u32 = 4;
pub const ARGUMENTS: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// The call fails with this error; with 0 it does nothing and succeeds.
    Refuse(u16),
    /// The supervisor says.
    Ask,
    Kill,
}

impl Verdict {
    pub fn code(self) -> u32 {
        match self {
            Verdict::Allow => libc::SECCOMP_RET_ALLOW,
            Verdict::Refuse(error) => libc::SECCOMP_RET_ERRNO | u32::from(error),
            Verdict::Ask => libc::SECCOMP_RET_USER_NOTIF,
            Verdict::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// A question about an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Any of these bits is set.
    Any(u32),
    /// What the mask leaves is this.
    Is {
        mask: u32,
        value: u32,
    },
    AtLeast(u32),
}

/// The verdict for calls whose argument (0 to 5) passes a test, and of which another one has a certain value, if `also`
/// says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clause {
    pub argument: u8,
    pub test: Test,
    pub also: Option<(u8, u32)>,
    pub verdict: Verdict,
}

/// What to do with a call: the first clause that holds, else `otherwise`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub clauses: Vec<Clause>,
    pub otherwise: Verdict,
}

impl Rule {
    pub fn plain(otherwise: Verdict) -> Rule {
        Rule { clauses: Vec::new(), otherwise }
    }
}

/// The rules for one calling convention: each holds from its number to the next one's; the first number is 0.
pub struct Table {
    pub audit: u32,
    pub has_x32: bool,
    pub rules: Vec<(u32, Rule)>,
}

/// The program for all tables. A call of a convention that has no table kills the process, as nobody knows what its
/// numbers mean. Which rule holds is found by bisection.
pub fn assemble(tables: &[Table]) -> Vec<Instruction> {
    let mut program = vec![verdict(Verdict::Kill)];
    for table in tables.iter().rev() {
        let mut block = vec![load(NUMBER)];
        if table.has_x32 {
            block.push(jump(JUMP_IF_SET, X32_BIT, 0, 1));
            block.push(Instruction { code: AND, if_true: 0, if_false: 0, value: !X32_BIT & 0x7fff_ffff });
        }
        block.extend(bisect(&merged(&table.rules)));
        program.splice(0..0, either(JUMP_IF_EQUAL, table.audit, block));
    }
    program.insert(0, load(ARCHITECTURE));
    program
}

/// Neighbours with the same rule are one.
fn merged(rules: &[(u32, Rule)]) -> Vec<(u32, &Rule)> {
    let mut merged: Vec<(u32, &Rule)> = Vec::new();
    for (number, rule) in rules {
        if merged.last().is_none_or(|(_, last)| *last != rule) {
            merged.push((*number, rule));
        }
    }
    merged
}

fn bisect(rules: &[(u32, &Rule)]) -> Vec<Instruction> {
    match rules {
        [] => vec![verdict(Verdict::Kill)],
        [(_, rule)] => body(rule),
        _ => {
            let (low, high) = rules.split_at(rules.len() / 2);
            let above = bisect(high);
            let mut code = either(JUMP_IF_AT_LEAST, high[0].0, above);
            code.extend(bisect(low));
            code
        }
    }
}

/// Runs the block if the test holds, else goes on behind it. The block has to end in a verdict on each of its ways.
fn either(test: u16, value: u32, block: Vec<Instruction>) -> Vec<Instruction> {
    let mut code = match u8::try_from(block.len()) {
        Ok(length) if usize::from(length) <= FAR => vec![jump(test, value, 0, length)],
        _ => vec![
            jump(test, value, 1, 0),
            // A program has at most 4096 instructions, so that the distance fits.
            Instruction { code: JUMP, if_true: 0, if_false: 0, value: block.len() as u32 },
        ],
    };
    code.extend(block);
    code
}

fn body(rule: &Rule) -> Vec<Instruction> {
    let mut code = Vec::new();
    for clause in &rule.clauses {
        code.push(load(ARGUMENTS + 8 * u32::from(clause.argument)));
        // Past the verdict, and past the other question before it.
        let past = if clause.also.is_some() { 3 } else { 1 };
        match clause.test {
            Test::Any(bits) => code.push(jump(JUMP_IF_SET, bits, 0, past)),
            Test::AtLeast(value) => code.push(jump(JUMP_IF_AT_LEAST, value, 0, past)),
            Test::Is { mask, value } => {
                code.push(Instruction { code: AND, if_true: 0, if_false: 0, value: mask });
                code.push(jump(JUMP_IF_EQUAL, value, 0, past));
            }
        }
        if let Some((argument, value)) = clause.also {
            code.push(load(ARGUMENTS + 8 * u32::from(argument)));
            code.push(jump(JUMP_IF_EQUAL, value, 0, 1));
        }
        code.push(verdict(clause.verdict));
    }
    code.push(verdict(rule.otherwise));
    code
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, if_true: 0, if_false: 0, value: offset }
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code, if_true, if_false, value }
}

fn verdict(verdict: Verdict) -> Instruction {
    Instruction { code: RETURN, if_true: 0, if_false: 0, value: verdict.code() }
}
