package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/tlsstore"
	"github.com/sluicehub/sluice/hub"
	"github.com/sluicehub/sluice/schemaregistry"
	"github.com/sluicehub/sluice/schemaregistry/access"
)

// registryPrefix is before all keys of the registry; its TLS keys are those of tlsstore behind it.
const registryPrefix = "sluice.registry."

// registryDefinition is what a worker's configuration may say about the schema registry.
func registryDefinition() *configs.Definition {
	const group = "Schema registry"
	own := &configs.Definition{Keys: []configs.Key{
		{Name: registryPrefix + "listener", Type: configs.String, Default: "127.0.0.1:8081", Importance: configs.High, Group: group,
			Check: checkAddress, Doc: "Where clients reach the schema registry, host:port. On another address than the loopback's, " +
				"callers must say who they are: by sluice.registry.auth.*, or by certificates."},
		{Name: registryPrefix + "topic", Type: configs.String, Default: schemaregistry.DefaultTopic, Group: group, Aliases: []string{"kafkastore.topic"},
			Doc: "The topic that the registry is kept in. It is compacted and has one partition."},
		{Name: registryPrefix + "topic.replication.factor", Type: configs.Short, Group: group, Aliases: []string{"kafkastore.topic.replication.factor"},
			Doc: "Replicas of that topic if it is created. Without it, the cluster's default."},
		{Name: registryPrefix + "group.id", Type: configs.String, Default: "schema-registry", Group: group, Aliases: []string{"schema.registry.group.id"},
			Doc: "What all registries on one topic have in common. One of them writes, by the transactional id GROUP.TOPIC, and the others forward to it."},
		{Name: registryPrefix + "leader.eligibility", Type: configs.Boolean, Default: "true", Group: group, Aliases: []string{"leader.eligibility", "master.eligibility"},
			Doc: "Whether this registry may be the one that writes. Otherwise it forwards, or refuses while no other writes."},
		{Name: registryPrefix + "advertised.host.name", Type: configs.String, Group: group, Aliases: []string{"host.name"},
			Doc: "Host name by which other registries reach this one's listener. Without it, the listener's address, or the machine's name if that is all addresses."},
		{Name: registryPrefix + "advertised.port", Type: configs.Int, Min: "1", Max: "65535", Group: group,
			Doc: "Port by which other registries reach this one's listener. Without it, the listener's."},
		{Name: registryPrefix + "advertised.listener", Type: configs.String, Enum: []string{"http", "https"}, Group: group, Aliases: []string{"inter.instance.protocol"},
			Doc: "How other registries talk to this one. Without it, as its listener does."},
		{Name: registryPrefix + "compatibility.level", Type: configs.String, Default: string(schemaregistry.Backward), Group: group,
			Check: checkLevel, Aliases: []string{"schema.compatibility.level"}, Doc: "The registry's compatibility level where none is configured."},
		{Name: registryPrefix + "compatibility.inherit", Type: configs.Boolean, Default: "false", Group: group,
			Doc: "Whether a subject whose configuration names no level has that of its context or the global one. Confluent's registry gives it the default level."},
		{Name: registryPrefix + "incompatible.error.code", Type: configs.Int, Default: "409", Enum: []string{"409", "40901"}, Group: group,
			Doc: "The registry's error_code for an incompatible schema: 409, which most clients know, or 40901, which Confluent's registry answers since 8.0.4."},
		{Name: registryPrefix + "response.extended", Type: configs.Boolean, Default: "false", Group: group,
			Doc: "Whether all of the registry's answers have the members that came with Confluent's 8.0 (guid, ts, deleted). Clients that say that they accept them get them anyway."},
		{Name: registryPrefix + "insecure", Type: configs.Boolean, Default: "false", Group: group,
			Doc: "Lets everybody who reaches a listener outside the loopback do everything. For a network that nobody else is on."},
		{Name: registryPrefix + "auth.basic.file", Type: configs.String, Importance: configs.Medium, Group: group, Example: "/etc/sluice/registry.htpasswd",
			Doc: "Users and their passwords, as htpasswd -B writes them (bcrypt). Files for callers are read again when they change."},
		{Name: registryPrefix + "auth.tokens.file", Type: configs.String, Importance: configs.Medium, Group: group,
			Doc: "Bearer tokens, a line principal:token each."},
		{Name: registryPrefix + "auth.jwks.file", Type: configs.String, Importance: configs.Medium, Group: group,
			Doc: "Public keys (JWKS) that sign bearer tokens (JWT). Tokens must expire."},
		{Name: registryPrefix + "auth.jwt.issuer", Type: configs.String, Group: group, Doc: "The iss that signed tokens must have; absent: any."},
		{Name: registryPrefix + "auth.jwt.audience", Type: configs.String, Group: group, Doc: "The aud that signed tokens must have; absent: any."},
		{Name: registryPrefix + "auth.jwt.principal.claim", Type: configs.String, Default: "sub", Group: group, Doc: "The claim of a signed token that says who it is."},
		{Name: registryPrefix + "permissions.file", Type: configs.String, Importance: configs.Medium, Group: group,
			Doc: "Who may do what: lines such as \"alice read,write orders-*\", with read, write, delete, config and all, * for everybody, and a subject or " +
				"the beginning of one and a star. Without it all who are known may do everything."},
		{Name: registryPrefix + "ssl.client.auth", Type: configs.String, Default: "none", Enum: []string{"none", "requested", "required"}, Group: group,
			Doc: "Whether clients show a certificate, which says who they are by its common name. It must be signed by one of ssl.truststore.location."},
	}}
	return configs.Concat(own, tlsstore.Definition().WithPrefix(registryPrefix, group))
}

func registryOptions(v configs.Values, kafka *brokers, guard *access.Guard, at net.Addr, logger *slog.Logger) (schemaregistry.Options, error) {
	security, err := tlsstore.Config(v, registryPrefix)
	if err != nil {
		return schemaregistry.Options{}, err
	}
	return schemaregistry.Options{Kafka: kafka.secured, Logger: logger.With("room", "schemaregistry"), Access: guard, Version: version,
		Topic:            v.String(registryPrefix + "topic"),
		Replication:      int16(v.Int(registryPrefix + "topic.replication.factor")),
		Level:            schemaregistry.Level(strings.ToUpper(v.String(registryPrefix + "compatibility.level"))),
		InheritLevel:     v.Bool(registryPrefix + "compatibility.inherit"),
		IncompatibleCode: v.Int(registryPrefix + "incompatible.error.code"),
		Extended:         v.Bool(registryPrefix + "response.extended"),
		Group:            v.String(registryPrefix + "group.id"),
		Advertised:       advertised(v, at),
		NeverWrites:      !v.Bool(registryPrefix + "leader.eligibility"),
		Peers:            &http.Client{Transport: &http.Transport{TLSClientConfig: security, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}}}, nil
}

// advertised is the URL by which the registries of other processes reach the one whose door is at an address.
func advertised(v configs.Values, at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host, _ = os.Hostname()
	}
	if name := v.String(registryPrefix + "advertised.host.name"); name != "" {
		host = name
	}
	if n := v.Int(registryPrefix + "advertised.port"); n != 0 {
		port = strconv.Itoa(n)
	}
	scheme := v.String(registryPrefix + "advertised.listener")
	if scheme == "" {
		scheme = "http"
		if hasCertificate(v) {
			scheme = "https"
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// hasCertificate reports whether the registry's door has TLS.
func hasCertificate(v configs.Values) bool {
	return v.Has(registryPrefix+"ssl.keystore.location") || v.Has(registryPrefix+"ssl.keystore.key")
}

// secureRegistry returns who is asked at the registry's door, and the door, with TLS if there is a certificate for it. A
// door that others reach is not opened to everybody unless that is said.
func secureRegistry(v configs.Values, door net.Listener) (*access.Guard, net.Listener, error) {
	clientAuth := v.String(registryPrefix + "ssl.client.auth")
	o := access.Options{Passwords: v.String(registryPrefix + "auth.basic.file"), Tokens: v.String(registryPrefix + "auth.tokens.file"),
		Keys: v.String(registryPrefix + "auth.jwks.file"), Issuer: v.String(registryPrefix + "auth.jwt.issuer"),
		Audience: v.String(registryPrefix + "auth.jwt.audience"), Claim: v.String(registryPrefix + "auth.jwt.principal.claim"),
		Permissions: v.String(registryPrefix + "permissions.file"), Certificates: clientAuth != "none"}
	config, err := serverTLS(v, clientAuth)
	if err != nil {
		return nil, nil, err
	}
	if !o.Any() && !v.Bool(registryPrefix+"insecure") && !isLoopback(door.Addr()) {
		return nil, nil, fmt.Errorf("%slistener: %s is reached by others, and nobody is asked who they are; name users or tokens by %sauth.basic.file, "+
			"auth.tokens.file or auth.jwks.file, or certificates by ssl.client.auth, or set %sinsecure=true", registryPrefix, door.Addr(), registryPrefix, registryPrefix)
	}
	guard, err := access.Open(o)
	if err != nil {
		return nil, nil, fmt.Errorf("who may ask the schema registry (%sauth.*, permissions.file): %w", registryPrefix, err)
	}
	if config != nil {
		door = tls.NewListener(door, config)
	}
	return guard, door, nil
}

// serverTLS returns nil if the registry has no certificate.
func serverTLS(v configs.Values, clientAuth string) (*tls.Config, error) {
	if hasCertificate(v) {
		return tlsstore.ServerConfig(v, registryPrefix, clientAuth)
	}
	if clientAuth != "none" {
		return nil, fmt.Errorf("%sssl.client.auth: needs TLS, and so a certificate of the registry, by %sssl.keystore.location", registryPrefix, registryPrefix)
	}
	return nil, nil
}

func isLoopback(at net.Addr) bool {
	a, ok := at.(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// registryURLs are the addresses under which the registry of this process is known to configurations.
func registryURLs(at net.Addr) []string {
	hosts := []string{at.String()}
	if a, ok := at.(*net.TCPAddr); ok && isLoopback(at) {
		hosts = append(hosts, fmt.Sprintf("localhost:%d", a.Port))
	}
	var urls []string
	for _, h := range hosts {
		urls = append(urls, "http://"+h, "https://"+h)
	}
	return urls
}

// usersOf tells the registry which connectors use which topics.
func usersOf(h *hub.Hub) schemaregistry.Users {
	return func(ctx context.Context) ([]schemaregistry.User, error) {
		names, err := h.Connectors()
		if err != nil {
			return nil, err
		}
		var users []schemaregistry.User
		for _, name := range names {
			info, err := h.Connector(ctx, name)
			if err != nil {
				continue // it has been deleted meanwhile
			}
			topics, err := h.Topics(name)
			if err != nil {
				return nil, err
			}
			users = append(users, schemaregistry.User{Connector: name, Kind: string(info.Kind), Topics: topics})
		}
		return users, nil
	}
}

// asOurs renames the keys by which Confluent's registry is told of its cluster to those of this worker, unless they are
// there. Its list of brokers has a scheme at each, which is the security protocol.
func asOurs(raw map[string]string) {
	const prefix = "kafkastore."
	for key, value := range raw {
		name, ok := strings.CutPrefix(key, prefix)
		if !ok || name != "bootstrap.servers" && name != "security.protocol" && !strings.HasPrefix(name, "ssl.") && !strings.HasPrefix(name, "sasl.") {
			continue
		}
		delete(raw, key)
		if _, there := raw[name]; !there {
			raw[name] = value
		}
	}
	var servers []string
	for server := range strings.SplitSeq(raw["bootstrap.servers"], ",") {
		if scheme, rest, ok := strings.Cut(strings.TrimSpace(server), "://"); ok {
			server = rest
			if _, there := raw["security.protocol"]; !there {
				raw["security.protocol"] = scheme
			}
		}
		servers = append(servers, server)
	}
	if _, there := raw["bootstrap.servers"]; there {
		raw["bootstrap.servers"] = strings.Join(servers, ",")
	}
}
