//! Regions, sizes and base images: what the provider offers, the same for every account.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// Slugs with names. `atl1` and `ric1` are real and missing from the published enum.
const REGIONS: [(&str, &str); 12] = [
    ("nyc1", "New York 1"),
    ("nyc3", "New York 3"),
    ("sfo3", "San Francisco 3"),
    ("ams3", "Amsterdam 3"),
    ("lon1", "London 1"),
    ("fra1", "Frankfurt 1"),
    ("tor1", "Toronto 1"),
    ("sgp1", "Singapore 1"),
    ("blr1", "Bangalore 1"),
    ("syd1", "Sydney 1"),
    ("atl1", "Atlanta 1"),
    ("ric1", "Richmond 1"),
];

struct Offer {
    slug: &'static str,
    memory_mb: i64,
    vcpus: i64,
    disk_gb: i64,
    transfer_tb: f64,
    /// The wire carries prices as floats; nothing here computes with them.
    monthly: f64,
    hourly: f64,
    description: &'static str,
}

const fn offer(
    slug: &'static str,
    [memory_mb, vcpus, disk_gb]: [i64; 3],
    [transfer_tb, monthly, hourly]: [f64; 3],
    description: &'static str,
) -> Offer {
    Offer { slug, memory_mb, vcpus, disk_gb, transfer_tb, monthly, hourly, description }
}

/// Hourly prices are single precision printed as double, as on the live service.
const SIZES: [Offer; 12] = [
    offer("s-1vcpu-512mb-10gb", [512, 1, 10], [0.5, 4.0, 0.005_949_999_9], "Basic"),
    offer("s-1vcpu-1gb", [1024, 1, 25], [1.0, 6.0, 0.008_929_999_545_216_56], "Basic"),
    offer("s-1vcpu-2gb", [2048, 1, 50], [2.0, 12.0, 0.017_859_999_090_433_12], "Basic"),
    offer("s-2vcpu-2gb", [2048, 2, 60], [3.0, 18.0, 0.026_790_000_498_294_83], "Basic"),
    offer("s-2vcpu-4gb", [4096, 2, 80], [4.0, 24.0, 0.035_709_999_501_705_17], "Basic"),
    offer("s-4vcpu-8gb", [8192, 4, 160], [5.0, 48.0, 0.071_429_997_682_571_41], "Basic"),
    offer("s-8vcpu-16gb", [16384, 8, 320], [6.0, 96.0, 0.142_859_995_365_142_82], "Basic"),
    offer("c-2", [4096, 2, 25], [4.0, 42.0, 0.0625], "CPU-Optimized"),
    offer("c-4", [8192, 4, 50], [5.0, 84.0, 0.125], "CPU-Optimized"),
    offer("g-2vcpu-8gb", [8192, 2, 25], [4.0, 63.0, 0.09375], "General Purpose"),
    offer("m-2vcpu-16gb", [16384, 2, 50], [4.0, 84.0, 0.125], "Memory-Optimized"),
    offer(GPU_SIZE, [245_760, 20, 720], [15.0, 2522.16, 3.390_000_104_904_175], "H100 GPU - 1X"),
];

/// The one size that carries a GPU.
pub const GPU_SIZE: &str = "gpu-h100x1-80gb";

/// Sizes an ordinary account uses, for generated droplets.
pub const COMMON_SIZES: [&str; 6] =
    ["s-1vcpu-1gb", "s-1vcpu-2gb", "s-2vcpu-2gb", "s-2vcpu-4gb", "s-4vcpu-8gb", "c-2"];

/// Base images: id, slug, distribution, name.
const IMAGES: [(i64, &str, &str, &str); 4] = [
    (155_133_621, "ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64"),
    (129_211_873, "ubuntu-22-04-x64", "Ubuntu", "22.04 (LTS) x64"),
    (152_441_000, "debian-12-x64", "Debian", "12 x64"),
    (150_000_111, "almalinux-9-x64", "AlmaLinux", "AlmaLinux 9"),
];

static REGION_OBJECTS: LazyLock<HashMap<&str, Value>> =
    LazyLock::new(|| REGIONS.iter().map(|(slug, name)| (*slug, region_object(slug, name))).collect());
static SIZE_OBJECTS: LazyLock<HashMap<&str, Value>> =
    LazyLock::new(|| SIZES.iter().map(|size| (size.slug, size_object(size))).collect());
static IMAGE_OBJECTS: LazyLock<HashMap<&str, Value>> =
    LazyLock::new(|| IMAGES.iter().map(|image| (image.1, image_object(image))).collect());

fn region_object(slug: &str, name: &str) -> Value {
    json!({
        "name": name, "slug": slug, "available": slug != "nyc1",
        "features": ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
        "sizes": SIZES.iter().map(|size| size.slug).collect::<Vec<_>>(),
    })
}

fn size_object(size: &Offer) -> Value {
    let mut object = json!({
        "slug": size.slug, "memory": size.memory_mb, "vcpus": size.vcpus, "disk": size.disk_gb,
        "transfer": size.transfer_tb, "price_monthly": size.monthly, "price_hourly": size.hourly,
        "regions": REGIONS.iter().map(|(slug, _)| *slug).collect::<Vec<_>>(),
        "available": true, "description": size.description,
        // Not in the published schema, but on the live service.
        "networking_throughput": 2000,
        "disk_info": [{"type": "local", "size": {"amount": size.disk_gb, "unit": "gib"}}],
    });
    if size.slug == GPU_SIZE {
        object["gpu_info"] =
            json!({"count": 1, "model": "nvidia_h100", "vram": {"amount": 80, "unit": "gib"}});
    }
    object
}

fn image_object(&(id, slug, distribution, name): &(i64, &str, &str, &str)) -> Value {
    json!({
        "id": id, "name": name, "type": "base", "distribution": distribution, "slug": slug,
        "public": true, "regions": REGIONS.iter().map(|(slug, _)| *slug).collect::<Vec<_>>(),
        "created_at": "2025-05-06T12:00:00Z", "min_disk_size": 10, "size_gigabytes": 2.37,
        "description": format!("{distribution} {name}"), "tags": [], "status": "available",
    })
}

/// The region as an object; an unknown slug is one the caller has not heard of yet.
pub fn region(slug: &str) -> Value {
    REGION_OBJECTS.get(slug).cloned().unwrap_or_else(|| region_object(slug, slug))
}

/// The region whose slug is, or begins with, what was asked.
pub fn find_region(prefix: &str) -> Option<&'static str> {
    REGIONS.iter().map(|(slug, _)| *slug).find(|slug| slug.starts_with(prefix))
}

/// Every region slug.
pub fn region_slugs() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(slug, _)| *slug)
}

/// Every region.
pub fn regions() -> Vec<Value> {
    REGIONS.iter().map(|(slug, _)| region(slug)).collect()
}

/// The size, if it is offered.
pub fn size(slug: &str) -> Option<&'static Value> {
    SIZE_OBJECTS.get(slug)
}

/// Every size.
pub fn sizes() -> Vec<Value> {
    SIZES.iter().map(|size| SIZE_OBJECTS[size.slug].clone()).collect()
}

/// The base image of that slug.
pub fn image(slug: &str) -> Option<&'static Value> {
    IMAGE_OBJECTS.get(slug)
}

/// The base image of that id.
pub fn image_by_id(id: i64) -> Option<&'static Value> {
    IMAGES.iter().find(|image| image.0 == id).and_then(|image| IMAGE_OBJECTS.get(image.1))
}

/// Every base image.
pub fn images() -> Vec<Value> {
    IMAGES.iter().map(|image| IMAGE_OBJECTS[image.1].clone()).collect()
}
