//! A wire between a machine and the server that a test can cut: TCP on loopback, passed on byte by
//! byte.
//!
//! Networks break in three ways, and each is different for the programs at the ends:
//! - [`Wire::stall`]: a cable is pulled. Nothing gets through; when it is back, everything does.
//! - [`Wire::forget`]: something on the way lost its memory of the connections. Nothing gets
//!   through, nobody is told, and what was open stays dead when new connections work again.
//! - [`Wire::close`]: connections end, and new ones are refused.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    Stalled,
    Dead,
}

#[derive(Clone, Copy, Debug)]
struct State {
    flow: Flow,
    /// Grows when connections are forgotten; older ones are dead.
    age: u64,
}

struct Shared {
    server: SocketAddr,
    state: watch::Sender<State>,
}

/// A wire. Dropping it closes it.
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Wire {
    /// To the server on this port of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Arc::new(Shared {
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            state: watch::Sender::new(State {
                flow: Flow::Open,
                age: 0,
            }),
        });
        Ok(Self {
            port: listener.local_addr()?.port(),
            listening: Mutex::new(Some(tokio::spawn(listen(listener, Arc::clone(&shared))))),
            shared,
        })
    }

    /// The server's address at this end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Holds everything up.
    pub fn stall(&self) {
        self.flow(Flow::Stalled);
    }

    /// Forgets every connection, without a word.
    pub fn forget(&self) {
        self.shared.state.send_modify(|state| {
            state.age += 1;
            state.flow = Flow::Dead;
        });
    }

    /// Ends every connection and refuses new ones.
    pub fn close(&self) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = listening.take() {
            // Its connections are its own and end with it.
            task.abort();
        }
    }

    /// Works again.
    ///
    /// # Errors
    /// When the port was taken meanwhile.
    pub async fn mend(&self) -> Result {
        self.flow(Flow::Open);
        let closed = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if closed {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
            let task = tokio::spawn(listen(listener, Arc::clone(&self.shared)));
            *self
                .listening
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Ok(())
    }

    fn flow(&self, flow: Flow) {
        self.shared.state.send_modify(|state| state.flow = flow);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.close();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((machine, _)) = listener.accept().await {
        connections.spawn(connect(machine, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(machine: TcpStream, shared: Arc<Shared>) {
    let State { flow, age } = *shared.state.borrow();
    // Born dead: of an age that never was.
    let age = if flow == Flow::Dead { u64::MAX } else { age };
    let Ok(server) = TcpStream::connect(shared.server).await else {
        return;
    };
    let _ = (machine.set_nodelay(true), server.set_nodelay(true));
    let (from_machine, to_machine) = machine.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pass(from_machine, to_server, age, &shared),
        pass(from_server, to_machine, age, &shared),
    );
}

/// One direction, until its sender is done with it.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, age: u64, shared: &Shared) {
    let mut state = shared.state.subscribe();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        let passes = state
            .wait_for(|now| now.age != age || now.flow == Flow::Open)
            .await
            .map(|now| now.age == age);
        match passes {
            Ok(true) if read > 0 => {
                let Some(chunk) = bytes.get(..read) else {
                    return;
                };
                if to.write_all(chunk).await.is_err() {
                    return;
                }
            }
            Ok(true) => return,
            // Nobody learns of it: the other end stays open for ever.
            Ok(false) if read == 0 => std::future::pending().await,
            Ok(false) => {}
            Err(_) => return,
        }
    }
}
