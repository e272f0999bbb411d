//! The provider's bills.

use serde::Deserialize;

use crate::{
    client::Client,
    error::Error,
    pages::{Listing, Pages},
    request::Request,
    rows::{Balance, BillingEntry, Invoice, InvoiceItem, InvoicePreview, InvoiceSummary},
};

impl Client {
    /// The account's balance now.
    pub async fn balance(&self) -> Result<Balance, Error> {
        self.ask(&Request::get("billing.balance", ["customers", "my", "balance"])).await
    }

    /// Invoices, payments and credits so far.
    pub fn billing_history(&self) -> Pages<BillingEntry> {
        let request = Request::get("billing.history", ["customers", "my", "billing_history"]);
        self.pages(request, Listing::keyed("billing_history"))
    }

    /// Every final invoice. The running month is not among them.
    pub fn invoices(&self) -> Pages<Invoice> {
        let request = Request::get("invoices.list", ["customers", "my", "invoices"]);
        self.pages(request, Listing::keyed("invoices"))
    }

    /// The running month, as of its latest daily calculation.
    pub async fn invoice_preview(&self) -> Result<Option<InvoicePreview>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            invoice_preview: Option<InvoicePreview>,
        }
        // The preview comes with every page of the invoices, so the smallest one will do.
        let request =
            Request::get("invoices.preview", ["customers", "my", "invoices"]).query("per_page", "1");
        self.ask::<Answer>(&request).await.map(|answer| answer.invoice_preview)
    }

    /// The lines of one invoice.
    pub fn invoice_items(&self, invoice_uuid: &str) -> Pages<InvoiceItem> {
        let request = Request::get("invoices.items", ["customers", "my", "invoices", invoice_uuid]);
        self.pages(request, Listing::keyed("invoice_items"))
    }

    /// The totals of one invoice.
    pub async fn invoice_summary(&self, invoice_uuid: &str) -> Result<InvoiceSummary, Error> {
        self.ask(&Request::get("invoices.summary", ["customers", "my", "invoices", invoice_uuid, "summary"]))
            .await
    }

    /// One invoice as CSV, whole and as it came, up to [`Limits::csv_bytes_max`](crate::Limits).
    pub async fn invoice_csv(&self, invoice_uuid: &str) -> Result<String, Error> {
        let request = Request::get("invoices.csv", ["customers", "my", "invoices", invoice_uuid, "csv"]);
        let call = self.call(request.operation);
        let body = self.send_within(&request, self.limits().csv_bytes_max).await?;
        let malformed = |reason: &str| Error::Malformed { call, reason: reason.to_owned() };
        let text = String::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        // An error page or an empty answer must not become an invoice without lines.
        let header = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
        if !header.split(',').any(|column| column.trim().trim_matches('"') == "product") {
            return Err(malformed("the first line is not the header of an invoice"));
        }
        Ok(text)
    }
}
