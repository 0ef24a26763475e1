//! A pseudo-terminal, and a screen that understands what a program does to it.

use super::program::{DEADLINE, Program};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A pseudo-terminal.
pub struct Terminal {
    /// The program's end.
    pub program: File,
    /// What the program writes.
    pub output: UnboundedReceiver<Vec<u8>>,
    /// Where a person types.
    pub keyboard: File,
}

/// Opens a pseudo-terminal.
pub fn open(columns: u16, rows: u16) -> Terminal {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).expect("a size");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let slave = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("UTF-8"))
        .expect("the other end");
    let (sender, receiver) = unbounded_channel();
    let keyboard = File::from(master);
    let mut reader = keyboard.try_clone().expect("a second end");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // The read fails once the program has ended and let go of its end.
        while let Ok(n) = reader.read(&mut buffer) {
            if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    Terminal {
        program: slave,
        output: receiver,
        keyboard,
    }
}

/// Runs with everything on a pseudo-terminal. Each time that the words of a step have been written, it
/// types that step's keys. Returns the exit code and all that was written, escape sequences taken out.
pub async fn talk(
    program: &Program,
    arguments: &[&str],
    steps: &[(&str, &str)],
) -> (Option<i32>, String) {
    let Terminal {
        program: end,
        mut output,
        mut keyboard,
    } = open(80, 24);
    // As a program has it while it waits for a key, so that none is lost that comes before.
    let mut modes = tcgetattr(&end).expect("its modes");
    modes.local_modes &= !(LocalModes::ISIG | LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&end, OptionalActions::Now, &modes).expect("other modes");
    let mut command = program.command(arguments);
    let ends = [0; 3].map(|_| end.try_clone().expect("another end"));
    let [stdin, stdout, stderr] = ends.map(Stdio::from);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let mut child = command.spawn().expect("the program starts");
    drop((command, end));
    let mut written = Vec::new();
    let mut steps = steps.iter();
    let mut step = steps.next();
    let mut seen = 0;
    let watching = async {
        while let Some(bytes) = output.recv().await {
            written.extend(bytes);
            let text = String::from_utf8_lossy(&written).into_owned();
            while let Some((words, keys)) = step
                && let Some(at) = text[seen..].find(words)
            {
                seen += at + words.len();
                keyboard.write_all(keys.as_bytes()).expect("typed");
                step = steps.next();
            }
        }
    };
    let ended = tokio::time::timeout(DEADLINE, watching).await;
    let text = plain(&String::from_utf8_lossy(&written));
    assert!(ended.is_ok() && step.is_none(), "{step:?} after:\n{text}");
    (child.wait().await.expect("it ran").code(), text)
}

/// Text without its control sequences and carriage returns.
fn plain(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    out.push_str(rest);
    out.replace('\r', "")
}

/// A screen of endless height. It knows text, line ends, the cursor's way up,
/// erasing and colours; anything else is a failure of the program.
pub struct Screen {
    columns: usize,
    lines: Vec<String>,
    row: usize,
    column: usize,
    bytes: Vec<u8>,
    /// Whether colours were used.
    pub coloured: bool,
}

impl Screen {
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            lines: vec![String::new()],
            row: 0,
            column: 0,
            bytes: Vec::new(),
            coloured: false,
        }
    }

    /// What stands on it, without the blanks at the end.
    pub fn text(&self) -> String {
        let text = self.lines.join("\n");
        format!("{}\n", text.trim_end())
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // A character or sequence may be split between two reads.
        let whole = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8(self.bytes[..whole].to_vec()).expect("checked");
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            if c == '\x1b' {
                let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
                    break;
                };
                self.control(&rest[..=end]);
                rest = &rest[end + 1..];
                continue;
            }
            self.put(c);
            rest = &rest[c.len_utf8()..];
        }
        let used = whole - rest.len();
        self.bytes.drain(..used);
    }

    fn control(&mut self, sequence: &str) {
        let body = sequence.strip_prefix("\x1b[").expect("a control sequence");
        let (number, last) = body.split_at(body.len() - 1);
        match last {
            "A" => {
                let up: usize = number.parse().expect("a count");
                self.row = self.row.checked_sub(up).expect("within the screen");
            }
            "J" => {
                self.lines.truncate(self.row + 1);
                self.lines[self.row].truncate(self.column);
            }
            "m" => self.coloured = true,
            other => panic!("unknown control sequence {other:?}"),
        }
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            c => {
                if self.column == self.columns {
                    self.row += 1;
                    self.column = 0;
                }
                while self.lines.len() <= self.row {
                    self.lines.push(String::new());
                }
                let line = &mut self.lines[self.row];
                assert_eq!(line.chars().count(), self.column, "nothing is overwritten");
                line.push(c);
                self.column += 1;
            }
        }
        while self.lines.len() <= self.row {
            self.lines.push(String::new());
        }
    }
}

/// Runs on a pseudo-terminal until `shown` stands on the screen, lets the
/// server go on, and returns the exit code and the screen at the end.
pub async fn run_on_terminal(
    program: &Program,
    arguments: &[&str],
    columns: u16,
    shown: &[&str],
    gate: &Notify,
) -> (Option<i32>, Screen) {
    let Terminal {
        program: stdout,
        mut output,
        ..
    } = open(columns, 40);
    let mut command = program.command(arguments);
    let mut child = command.stdout(stdout).spawn().unwrap();
    // The command holds the terminal's end too; the program's must be the last.
    drop(command);
    let mut screen = Screen::new(usize::from(columns));
    let mut waiting = true;
    let watching = async {
        while let Some(bytes) = output.recv().await {
            screen.feed(&bytes);
            let text = screen.text();
            if waiting && shown.iter().all(|wanted| text.contains(wanted)) {
                waiting = false;
                gate.notify_one();
            }
        }
    };
    let ended = tokio::time::timeout(DEADLINE, watching).await;
    assert!(
        ended.is_ok() && !waiting,
        "{shown:?} not in:\n{}",
        screen.text()
    );
    let code = child.wait().await.unwrap().code();
    (code, screen)
}
