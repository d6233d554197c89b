package postgres_test

import (
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/postgres"
)

// TestRowSecurityHidesNoRows reads a table of which the role may see some rows only. The log has the changes of all of
// them, so that a snapshot without the others would be a gap that nobody notices.
func TestRowSecurityHidesNoRows(t *testing.T) {
	b := newBench(t)
	b.exec(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 4);
ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY first ON a USING (id < 3);
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_some') THEN CREATE ROLE sluice_some LOGIN REPLICATION; END IF; END $$;
GRANT SELECT ON a TO sluice_some; CREATE PUBLICATION dbz_publication FOR ALL TABLES`)
	config := b.config(map[string]string{"database.user": "sluice_some"})
	b.refused(config, nil, connectors.ClassEnvironment, "row-level security", `ALTER ROLE "sluice_some" BYPASSRLS`)
	problems := postgres.New().(connectors.Validator).Validate(t.Context(), config)
	if err := configs.Err(problems); err == nil || !strings.Contains(err.Error(), "BYPASSRLS") {
		t.Errorf("%v", problems)
	}
}
