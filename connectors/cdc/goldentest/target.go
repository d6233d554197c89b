package goldentest

import (
	"github.com/sluicehub/sluice/connectors"
)

// Target is what a target holds that has taken records one after another: by topic and key, the row. Records without a
// key it has no place for.
type Target struct {
	Rows map[string]string // the envelope's after, as JSON
	Read map[string]bool   // those of which there was a record of a snapshot
}

// NewTarget returns a target that holds nothing.
func NewTarget() *Target { return &Target{Rows: map[string]string{}, Read: map[string]bool{}} }

// Take takes records with Debezium's envelope; it leaves others out.
func (t *Target) Take(records []connectors.Record) error {
	for _, r := range records {
		if r.Key.IsNull() || r.Value.IsNull() { // a tombstone follows its delete
			continue
		}
		key, err := Document(r.Key, false)
		if err != nil {
			return err
		}
		key = r.Topic + " " + key
		v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
		if err != nil {
			return err
		}
		fields := map[string]string{}
		for i, f := range r.Value.Schema.Fields {
			fields[f.Name] = JSON(f.Schema, v.List()[i])
		}
		switch fields["op"] {
		case "":
			continue
		case `"d"`:
			delete(t.Rows, key)
			continue
		case `"r"`:
			t.Read[key] = true
		}
		t.Rows[key] = fields["after"]
	}
	return nil
}

// Lacks names keys whose rows are not as another target has them, at most so many, and how many there are.
func (t *Target) Lacks(other *Target, most int) (some []string, all int) {
	note := func(k string) {
		if all++; all <= most {
			some = append(some, k+" is "+t.Rows[k]+", want "+other.Rows[k])
		}
	}
	for k, row := range other.Rows {
		if t.Rows[k] != row {
			note(k)
		}
	}
	for k := range t.Rows {
		if _, ok := other.Rows[k]; !ok {
			note(k)
		}
	}
	return some, all
}
