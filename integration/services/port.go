package services

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// Port is a TCP port of 127.0.0.1 that no other user of this package on the
// machine is given until Release, whether or not a server listens on it. A
// server that is killed therefore finds it free when it comes back.
type Port struct {
	Number int
	claim  net.Listener
}

// ReservePort chooses a port that nobody listens on. It lies below the range
// from which the kernel takes the local ports of outgoing connections: from
// that range a client that keeps dialling a dead server's port can be connected
// to itself, and keep the server from coming back.
func ReservePort() (*Port, error) {
	const lowest = 10000
	highest := 32767
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if f := strings.Fields(string(b)); len(f) == 2 {
			if low, err := strconv.Atoi(f[0]); err == nil && low > lowest+1000 {
				highest = low - 1
			}
		}
	}
	for range 1000 {
		n := lowest + rand.IntN(highest-lowest+1)
		// An abstract socket name: it has no file and ends with its process.
		claim, err := net.Listen("unix", "@sluice-services-port-"+strconv.Itoa(n))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(n))
		if err != nil {
			claim.Close()
			continue
		}
		l.Close()
		return &Port{Number: n, claim: claim}, nil
	}
	return nil, errors.New("services: no free port in 1000 tries")
}

// Release lets others have the port.
func (p *Port) Release() { p.claim.Close() }

// Addr is 127.0.0.1:PORT.
func (p *Port) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.Number) }

func reservePorts(n int) ([]*Port, error) {
	var ports []*Port
	for range n {
		p, err := ReservePort()
		if err != nil {
			for _, p := range ports {
				p.Release()
			}
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}
