//! A world: two load balancers, a client and back ends, joined by bridges that stand in for switches.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::enter::{ROOM, must_be_inside};
use crate::error::Result;
use crate::node::Node;
use crate::owners::Owners;
use crate::sniff::Sniffer;
use crate::switch::{bridge, cable, forward, interfaces, ip, port};

/// The virtual address of all examples.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 31, 5);
/// Service addresses of `lb01` and `lb02`.
pub const BALANCERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 31, 11), Ipv4Addr::new(192, 168, 31, 12)];
/// Where the back ends listen, on port 8080.
pub const BACKENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 21), Ipv4Addr::new(10, 77, 0, 22)];

/// Every world of a process has its own number, so that the names of its links differ.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// Nodes `lb01` (192.168.31.11), `lb02` (.12) and `client` (.100), on eth1 of one bridge; the load balancers have
/// eth0 on a second bridge, where the back ends are if asked for. Everything ends with this value.
#[derive(Debug)]
pub struct World {
    service: String,
    rear: String,
    /// Takes part in the election, priority by configuration.
    pub lb01: Node,
    /// Its peer.
    pub lb02: Node,
    /// The one who uses the service.
    pub client: Node,
    /// Two addresses with a small web server each, when asked for.
    pub backend: Option<Node>,
    /// Adverts seen on the service bridge since the beginning.
    pub adverts: Sniffer,
    /// Who had the VIP when, since the beginning.
    pub owners: Owners,
}

impl World {
    /// A world without web servers.
    pub fn new() -> Result<Self> {
        Self::build(false)
    }

    /// A world whose load balancers find two back ends through eth0.
    pub fn with_backends() -> Result<Self> {
        Self::build(true)
    }

    fn build(backends: bool) -> Result<Self> {
        must_be_inside()?;
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(ROOM).join(format!("w{number}"));
        let (service, rear) = (format!("w{number}s"), format!("w{number}r"));
        let node = |name: &str| Node::start(name, dir.join(name));
        let (lb01, lb02, client) = (node("lb01")?, node("lb02")?, node("client")?);
        let backend = if backends { Some(node("backend")?) } else { None };

        let mut script = bridge(&service) + &bridge(&rear);
        script += &format!("addr add 192.168.31.254/24 dev {service}\n");
        for balancer in [&lb01, &lb02] {
            script += &cable(&rear, balancer, "eth0");
            script += &cable(&service, balancer, "eth1");
        }
        script += &cable(&service, &client, "eth1");
        if let Some(backend) = &backend {
            script += &cable(&rear, backend, "eth0");
        }
        ip(&script)?;

        let set =
            |node: &Node, list: &[(&str, &str)]| node.must_with(&["ip", "-batch", "-"], &interfaces(list));
        set(&lb01, &[("eth0", "10.77.0.11/24"), ("eth1", "192.168.31.11/24")])?;
        set(&lb02, &[("eth0", "10.77.0.12/24"), ("eth1", "192.168.31.12/24")])?;
        set(&client, &[("eth1", "192.168.31.100/24")])?;
        if let Some(backend) = &backend {
            set(backend, &[("eth0", "10.77.0.21/24"), ("eth0", "10.77.0.22/24")])?;
            crate::nginx::start_backends(backend)?;
        }
        let adverts = Sniffer::start(&service)?;
        let owners = Owners::start(&[&lb01, &lb02], VIP)?;
        Ok(Self {
            service,
            rear,
            lb01,
            lb02,
            client,
            backend,
            adverts,
            owners,
        })
    }

    /// Both load balancers.
    pub fn balancers(&self) -> [&Node; 2] {
        [&self.lb01, &self.lb02]
    }

    /// Pulls a node's service cable: it sees its carrier go.
    pub fn pull(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} down\n", port(&self.service, node)))
    }

    /// Puts the cable back.
    pub fn plug(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} up\n", port(&self.service, node)))
    }

    /// Stops all traffic of a node's service cable; its carrier stays, so the node knows nothing of it.
    pub fn cut(&self, node: &Node) -> Result<()> {
        forward(&port(&self.service, node), false)
    }

    /// Lets the traffic through again.
    pub fn heal(&self, node: &Node) -> Result<()> {
        forward(&port(&self.service, node), true)
    }

    /// The same as `pull`, for the management cable (eth0).
    pub fn pull_rear(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} down\n", port(&self.rear, node)))
    }

    /// Puts the management cable back.
    pub fn plug_rear(&self, node: &Node) -> Result<()> {
        ip(&format!("link set dev {} up\n", port(&self.rear, node)))
    }

    /// The node vanishes without a word: first its traffic, then its processes, and the VIP as after a power cut.
    pub fn crash(&self, node: &Node) -> Result<()> {
        self.cut(node)?;
        node.kill_everything()?;
        for prefix in ["24", "32"] {
            // One of both is wrong, and a lease may have run out before: failures say nothing here.
            node.run(&["ip", "addr", "del", &format!("{VIP}/{prefix}"), "dev", "eth1"])?;
        }
        Ok(())
    }

    /// The nodes of which the kernel says that they have the VIP now.
    pub fn holders(&self) -> Vec<&Node> {
        self.balancers()
            .into_iter()
            .filter(|node| self.owners.holds(node.name()))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.adverts.end();
        self.owners.end();
        // Everything goes with the namespaces anyway; a process with several worlds gets its links back at once.
        let _ = ip(&format!(
            "link del dev {}\nlink del dev {}\n",
            self.service, self.rear
        ));
    }
}
