package schemaregistry

import (
	"bytes"
	"net"
	"net/url"
	"os"
)

// peer is a node of the registry, as the others see it.
type peer struct {
	id      string // new each time a registry is opened
	machine string // the name of the machine
	url     string // of its Handler; "" if others cannot reach it
}

func newPeer(opts Options) peer {
	machine, err := os.Hostname()
	if err != nil {
		machine = "?" // a URL on the loopback interface is of no use to others then
	}
	p := peer{id: requestID(), machine: machine}
	if !opts.NeverWrites {
		p.url = opts.Advertised
	}
	return p
}

// header returns the value of the header that says that the peer writes: id, machine, URL.
func (p peer) header() []byte { return []byte(p.id + " " + p.machine + " " + p.url) }

func parsePeer(header []byte) (p peer) {
	parts := bytes.SplitN(header, []byte(" "), 3)
	if len(parts) == 3 {
		p = peer{string(parts[0]), string(parts[1]), string(parts[2])}
	}
	return p
}

// reaches reports whether a request can be forwarded to another peer, as far as can be known before it is tried. At
// this node's own URL there was a process that is gone.
func (p peer) reaches(other peer) bool {
	if other.url == "" || other.id == p.id || other.url == p.url {
		return false
	}
	u, err := url.Parse(other.url)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return !local || other.machine == p.machine && p.machine != "?"
}
