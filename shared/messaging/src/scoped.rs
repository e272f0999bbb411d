//! A read-only transaction that sees what one scope may see.

use std::ops::{Deref, DerefMut};

use contracts::{Scope, Service};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

/// A read-only transaction, limited to a scope by row-level security. There is no other way for a query's
/// handler to reach the database.
pub struct ScopedTx {
    tx: Transaction<'static, Postgres>,
}

impl ScopedTx {
    /// Opens the transaction. A tenant's runs as `<service>_tenant` with `app.tenant` set; an operator's as the
    /// service itself.
    pub async fn begin(pool: &PgPool, service: Service, scope: &Scope) -> Result<Self, sqlx::Error> {
        let tx = match scope {
            Scope::Operator => pool.begin_with("begin read only").await?,
            Scope::Tenant(tenant) => {
                // One round trip. A tenant id is `A–Z a–z 0–9 _ -` by construction, so it needs no quoting.
                let statement = format!(
                    "begin read only; select set_config('role', '{}_tenant', true), set_config('app.tenant', '{tenant}', true)",
                    service.sql_name(),
                );
                pool.begin_with(AssertSqlSafe(statement)).await?
            }
        };
        Ok(Self { tx })
    }
}

impl Deref for ScopedTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for ScopedTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
