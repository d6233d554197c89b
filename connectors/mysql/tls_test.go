package mysql_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
)

// TestTLS reads rows and changes over connections that are encrypted as database.ssl.mode says, with stores as Java and as
// everybody else writes them.
func TestTLS(t *testing.T) {
	t.Parallel()
	stored := func(name string) string {
		path, err := filepath.Abs(filepath.Join("../tlsstore/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"--ssl-ca=" + stored("ca.pem"), "--ssl-cert=" + stored("server.pem"), "--ssl-key=" + stored("server.pem")}
	const password = "store-secret"
	for name, start := range map[string]func(testing.TB) *services.MySQL{"mysql": server(args...), "mariadb": mariadb(args...)} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			for user, needs := range map[string]string{"tls": "SSL", "x509": "X509"} {
				s.Exec(t, "", "CREATE USER "+user+"@'%' IDENTIFIED BY 'x' REQUIRE "+needs)
				s.Exec(t, "", "GRANT ALL ON *.* TO "+user+"@'%'")
			}
			for name, c := range map[string]struct {
				more []string
				says string // of the problem; empty: a change arrives
			}{
				"disabled":                     {[]string{"mode", "disabled"}, "database.password: Cannot connect"},
				"preferred":                    {[]string{"mode", "preferred"}, ""},
				"required":                     {[]string{"mode", "required"}, ""},
				"verify_ca PEM":                {[]string{"mode", "verify_ca", "ca", stored("ca.pem")}, ""},
				"verify_ca JKS":                {[]string{"mode", "verify_ca", "truststore", stored("trust.jks"), "truststore.password", password}, ""},
				"verify_identity PKCS#12":      {[]string{"mode", "verify_identity", "truststore", stored("trust.p12"), "truststore.password", password}, ""},
				"another name":                 {[]string{"mode", "verify_identity", "ca", stored("ca.pem"), "host", "localhost"}, "database.ssl.mode: Cannot connect: "},
				"another name without looking": {[]string{"mode", "verify_ca", "ca", stored("ca.pem"), "host", "localhost"}, ""},
				"not trusted":                  {[]string{"mode", "verify_ca"}, "certificate signed by unknown authority"},
				"no client":                    {[]string{"mode", "required", "user", "x509"}, "database.password: Cannot connect"},
				"client PEM":                   {[]string{"mode", "required", "user", "x509", "cert", stored("client.pem"), "key", stored("client.pem")}, ""},
				"client PKCS#12":               {[]string{"mode", "required", "user", "x509", "keystore", stored("client.p12"), "keystore.password", password}, ""},
				"wrong password":               {[]string{"mode", "required", "keystore", stored("client.p12"), "keystore.password", "wrong"}, "database.ssl.keystore: Cannot connect"},
				"no store":                     {[]string{"mode", "required", "truststore", stored("nothing")}, "database.ssl.truststore: Cannot connect"},
			} {
				t.Run(name, func(t *testing.T) {
					b := newBench(t, s, "")
					b.script("CREATE TABLE a (id int PRIMARY KEY);")
					config := b.config(map[string]string{"database.user": "tls", "database.password": "x"})
					for i := 0; i < len(c.more); i += 2 {
						switch key, value := c.more[i], c.more[i+1]; key {
						case "host":
							config["database.hostname"] = value
						case "user":
							config["database.user"] = value
						default:
							config["database.ssl."+key] = value
						}
					}
					if c.says != "" {
						expect(t, problems(b, config), c.says)
						return
					}
					r := b.start(config, nil)
					b.awaitStream(r)
					b.script("INSERT INTO a VALUES (1);")
					b.settle(r)
					records, _ := r.taken()
					if got := lines(t, records); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], `{"id":1} "c"`) {
						t.Errorf("the change has not arrived: %v", got)
					}
				})
			}
		})
	}
}
