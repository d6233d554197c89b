package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/sluicehub/sluice"

// rooms are the folders at the top of the tree, all of them.
func rooms() []string {
	return []string{"cmd", "configs", "connectors", "hub", "integration", "log", "plugins", "schemaregistry"}
}

// rule says what the packages of a room may import of the other rooms. A
// pattern is a package, or with /... that package and all below it; "..." is
// every package. What only tests may import besides is in tests; all tests may
// import integration/services, and what they test.
type rule struct {
	from  string
	may   []string
	tests []string
}

// importRules are the arrows between the rooms. The first rule whose from
// matches decides, so the more special ones come first.
func importRules() []rule {
	contract := []string{"connectors", "configs"}
	connectorTests := []string{"connectors/connectortest/...", "plugins/...", "schemaregistry/avro"}
	return []rule{
		{from: "cmd/...", may: []string{"..."}},
		{from: "integration/...", may: []string{"..."}},

		{from: "hub/rest/...", may: []string{"connectors", "configs", "hub/..."}, tests: []string{"log/...", "connectors/...", "schemaregistry/..."}},
		{from: "hub/converters/...", may: []string{"connectors", "configs", "connectors/tlsstore", "schemaregistry/avro"}, tests: []string{"schemaregistry/..."}},
		{from: "hub/transforms/...", may: contract, tests: []string{"hub/converters"}},
		// A Kafka client's certificates are in the stores that sinks' clients have theirs in.
		{from: "hub", may: []string{"connectors", "configs", "connectors/tlsstore", "hub/converters", "hub/transforms", "hub/durable"}, tests: []string{"log/...", "connectors/...", "schemaregistry/..."}},
		{from: "hub/durable", may: contract, tests: []string{"log/..."}},

		{from: "log/broker", may: []string{"log", "log/broker/consumergroup", "log/broker/layout", "log/segment", "log/vfs"}},
		{from: "log/broker/consumergroup", may: []string{"log", "log/broker/layout"}},
		{from: "log/broker/layout", may: nil},
		{from: "log", may: []string{"log/segment", "log/vfs"}},
		{from: "log/segment", may: []string{"log/vfs"}},
		{from: "log/vfs", may: nil},

		{from: "plugins/pluginpb", may: nil},
		{from: "plugins/plugintest", may: []string{"plugins", "plugins/pluginpb", "connectors", "configs"}},
		{from: "plugins/...", may: []string{"plugins/pluginpb", "connectors", "configs", "schemaregistry/avro"}, tests: []string{"plugins/plugintest", "connectors/..."}},

		{from: "schemaregistry/avro", may: []string{"connectors"}},
		{from: "schemaregistry/access", may: nil},
		{from: "schemaregistry/jsonschema", may: nil},
		{from: "schemaregistry/protobuf", may: nil},
		{from: "schemaregistry", may: []string{"schemaregistry/access", "schemaregistry/avro", "schemaregistry/jsonschema", "schemaregistry/protobuf", "connectors"}, tests: []string{"log/..."}},

		{from: "connectors", may: []string{"configs"}, tests: []string{"schemaregistry/avro"}},
		{from: "connectors/cdc/...", may: contract, tests: connectorTests},
		{from: "connectors/connectortest/...", may: contract, tests: []string{"plugins/..."}},
		// A third party's program: the contract, and the one call that serves it.
		{from: "connectors/example", may: append(contract, "plugins"), tests: connectorTests},
		{from: "connectors/postgres/...", may: []string{"connectors", "configs", "connectors/cdc/...", "connectors/postgres/..."}, tests: connectorTests},
		{from: "connectors/mysql/...", may: []string{"connectors", "configs", "connectors/cdc/...", "connectors/tlsstore", "connectors/mysql/..."}, tests: connectorTests},
		// The files that the S3 sink writes carry Avro schemas, and one mapping from Connect's schemas is enough.
		{from: "connectors/s3/...", may: append(contract, "schemaregistry/avro"), tests: connectorTests},
		// What Debezium's logical types and operations are called is in cdc; the relational sink reads what sources write.
		{from: "connectors/jdbc", may: append(contract, "connectors/cdc", "connectors/sqldb"), tests: connectorTests},
		{from: "connectors/jdbcsource", may: append(contract, "connectors/cdc", "connectors/sqldb"), tests: connectorTests},
		{from: "connectors/sqldb", may: []string{"configs"}},
		{from: "connectors/tlsstore", may: []string{"configs"}},
		{from: "connectors/elasticsearch/...", may: append(contract, "connectors/tlsstore"), tests: connectorTests},
		{from: "connectors/...", may: contract, tests: connectorTests},

		{from: "configs/...", may: nil},
	}
}

// fences keep an import from the outside within the packages whose business it
// is. Tests are bound by them only where tests says so.
type fence struct {
	module string   // a module or package and all below it
	within []string // the only packages that may import it
	tests  bool
}

func importFences() []fence {
	wall := []string{"plugins/..."}
	return []fence{
		{module: "github.com/hashicorp/go-plugin", within: wall, tests: true},
		{module: "github.com/hashicorp/go-hclog", within: wall, tests: true},
		{module: "google.golang.org/grpc", within: wall, tests: true},
		{module: "github.com/jackc", within: []string{"connectors/...", "integration/..."}},
		{module: "github.com/go-mysql-org", within: []string{"connectors/...", "integration/..."}},
		{module: "database/sql", within: []string{"connectors/...", "integration/..."}},
		{module: "github.com/aws", within: []string{"connectors/s3/...", "integration/..."}},
		{module: "github.com/elastic", within: []string{"connectors/elasticsearch/...", "integration/..."}},
		// The hub and the registry reach the log as any Kafka client does. The
		// log itself takes only the codecs from there. A source's signals may
		// come by a topic, of whichever cluster its configuration names.
		{module: "github.com/twmb/franz-go/pkg/kgo", within: []string{"cmd/...", "hub/...", "schemaregistry/...", "log/segment", "log/broker/...", "connectors/cdc", "integration/..."}},
		{module: "github.com/twmb/franz-go/pkg/kfake", within: nil},
		{module: "github.com/spf13/cobra", within: []string{"cmd/..."}},
		// Processes belong to the wall.
		{module: "os/exec", within: []string{"plugins/...", "cmd/...", "integration/..."}},
		{module: "testing", within: []string{"connectors/connectortest/...", "plugins/plugintest", "integration/..."}},
	}
}

func matches(pattern, pkg string) bool {
	below, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return pattern == pkg
	}
	return strings.HasPrefix(pkg+"/", below)
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// checkImport says why a package of this module (its path within it) must not
// import another one of it, or one from outside (its whole path).
func checkImport(from, imported string, test bool) error {
	to, ours := strings.CutPrefix(imported, modulePath+"/")
	if !ours {
		return checkFences(from, imported, test)
	}
	if test && (to == from || matches("integration/services", to)) {
		return nil
	}
	for _, r := range importRules() {
		if !matches(r.from, from) {
			continue
		}
		if matchesAny(r.may, to) || test && matchesAny(r.tests, to) {
			return nil
		}
		return fmt.Errorf("%s must not import %s (it may import %q, its tests also %q)", from, to, r.may, r.tests)
	}
	return fmt.Errorf("%s is in no room that importRules knows", from)
}

func checkFences(from, imported string, test bool) error {
	for _, f := range importFences() {
		if test && !f.tests || !matches(f.module+"/...", imported) || matchesAny(f.within, from) {
			continue
		}
		return fmt.Errorf("%s must not import %s, which is only for %q", from, imported, f.within)
	}
	return nil
}

// sourcePackage is what is asked of `go list -json`.
type sourcePackage struct {
	Dir, ImportPath                    string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

func (p sourcePackage) path() string { return strings.TrimPrefix(p.ImportPath, modulePath+"/") }

func sourcePackages(t *testing.T) []sourcePackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []sourcePackage
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p sourcePackage
		if err := d.Decode(&p); err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < len(rooms()) {
		t.Fatalf("go list finds only %d packages", len(packages))
	}
	return packages
}

func TestArchitectureImports(t *testing.T) {
	t.Parallel()
	for _, p := range sourcePackages(t) {
		for _, imported := range p.Imports {
			if err := checkImport(p.path(), imported, false); err != nil {
				t.Error(err)
			}
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if err := checkImport(p.path(), imported, true); err != nil {
				t.Errorf("in a test: %v", err)
			}
		}
	}
}

func TestArchitectureFolders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	ignored := []string{"bin", "sluice-data"} // as in .gitignore
	var found []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(ignored, e.Name()) {
			found = append(found, e.Name())
		}
	}
	if !slices.Equal(found, rooms()) {
		t.Errorf("the folders at the top are %q, the rooms are %q", found, rooms())
	}
	vague := []string{"util", "utils", "common", "helpers", "types", "pkg", "internal", "misc"}
	for _, p := range sourcePackages(t) {
		for _, name := range strings.Split(filepath.ToSlash(p.path()), "/") {
			if slices.Contains(vague, name) {
				t.Errorf("%s: the name %q says nothing of what is in it", p.path(), name)
			}
		}
	}
}

func TestArchitectureRules(t *testing.T) {
	t.Parallel()
	const us = modulePath + "/"
	for _, good := range []struct {
		from, to string
		test     bool
	}{
		{from: "cmd/sluice", to: us + "hub"},
		{from: "hub/rest", to: us + "hub"},
		{from: "hub", to: us + "hub/transforms"},
		{from: "plugins", to: us + "plugins/pluginpb"},
		{from: "plugins/pluginpb", to: "google.golang.org/grpc/codes"},
		{from: "connectors/mysql", to: us + "connectors/cdc"},
		{from: "connectors/mysql", to: us + "connectors/tlsstore"},
		{from: "hub", to: us + "connectors/tlsstore"},
		{from: "connectors/elasticsearch", to: us + "connectors/tlsstore"},
		{from: "connectors/s3", to: us + "connectors/connectortest", test: true},
		{from: "connectors/s3", to: us + "integration/services", test: true},
		{from: "log/broker", to: us + "log"},
		{from: "log/broker", to: "github.com/twmb/franz-go/pkg/kfake", test: true},
		{from: "log", to: us + "log", test: true},
		{from: "configs", to: "encoding/json"},
	} {
		if err := checkImport(good.from, good.to, good.test); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, bad := range []struct {
		from, to string
		test     bool
	}{
		{from: "hub", to: us + "log"},
		{from: "hub", to: us + "plugins"},
		{from: "hub", to: us + "hub/rest"},
		{from: "hub", to: us + "schemaregistry"},
		{from: "hub", to: us + "connectors/postgres"},
		{from: "hub", to: "os/exec"},
		{from: "hub", to: "github.com/hashicorp/go-plugin"},
		{from: "hub", to: "google.golang.org/grpc/status", test: true},
		{from: "hub/transforms", to: us + "hub"},
		{from: "log", to: us + "configs"},
		{from: "log", to: us + "log/broker"},
		{from: "log/segment", to: us + "log"},
		{from: "log/broker", to: us + "hub", test: true},
		{from: "log/broker", to: "github.com/twmb/franz-go/pkg/kfake"},
		{from: "schemaregistry/avro", to: us + "schemaregistry"},
		{from: "schemaregistry", to: us + "log"},
		{from: "plugins", to: us + "hub"},
		{from: "plugins", to: us + "plugins/plugintest"},
		{from: "plugins/pluginpb", to: us + "plugins"},
		{from: "connectors", to: us + "connectors/postgres"},
		{from: "connectors/s3", to: us + "connectors/postgres"},
		{from: "connectors/s3", to: us + "connectors/elasticsearch", test: true},
		{from: "connectors/s3", to: us + "connectors/cdc"},
		{from: "connectors/tlsstore", to: us + "connectors"},
		{from: "connectors/s3", to: us + "connectors/connectortest"},
		{from: "connectors/s3", to: us + "plugins"},
		{from: "connectors/cdc", to: us + "connectors/postgres"},
		{from: "connectors/elasticsearch", to: "github.com/aws/aws-sdk-go-v2/service/s3"},
		{from: "connectors/postgres", to: us + "hub", test: true},
		{from: "configs", to: us + "connectors", test: true},
		{from: "cmd/sluice", to: "google.golang.org/grpc"},
		{from: "attic", to: us + "hub"},
	} {
		if checkImport(bad.from, bad.to, bad.test) == nil {
			t.Errorf("allowed: %s imports %s (test: %t)", bad.from, bad.to, bad.test)
		}
	}
}
