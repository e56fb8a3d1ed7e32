//! The phone's library against real files, real HTTP and real sockets.

mod wallet;
