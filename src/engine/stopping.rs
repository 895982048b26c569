//! Waiting that ends when the user wants to stop.

use std::time::Duration;

use super::native::sandbox::Stop;
use crate::domain::Result;

/// How often it is looked whether the user wants to stop.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Waits for something of the network's, but no longer than the user does.
pub(crate) async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<T> {
    let stopped = async {
        loop {
            if let Err(error) = stop.check() {
                return error;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        result = work => result,
        error = stopped => Err(error),
    }
}
