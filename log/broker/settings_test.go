package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
)

func TestSettingsAreCheckedAndApplied(t *testing.T) {
	s, err := newSettings(map[string]string{"num.partitions": "3", "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "250"})
	if err != nil {
		t.Fatal(err)
	}
	if s.partitions != 3 || s.autoCreate || s.initialRebalanceDelay != 250*time.Millisecond || s.maxConnections != 1000 {
		t.Errorf("settings are %+v", s)
	}
	var o log.Options
	err = ApplyToLog(map[string]string{"log.retention.ms": "5000", "message.max.bytes": "77777", "log.retention.check.interval.ms": "1000"}, &o)
	if err != nil {
		t.Fatal(err)
	}
	if o.TopicDefaults["retention.ms"] != "5000" || o.TopicDefaults["max.message.bytes"] != "77777" || o.RetentionInterval != time.Second {
		t.Errorf("options of the log are %+v", o)
	}
	for name, values := range map[string]map[string]string{
		"no.such": {"no.such": "1"}, "num.partitions": {"num.partitions": "0"}, "log.retention.ms": {"log.retention.ms": "soon"},
		"group.min.session": {"group.min.session.timeout.ms": "20", "group.max.session.timeout.ms": "10"},
	} {
		if _, err := newSettings(values); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v, want an error that names %s", values, err, name)
		}
	}
}

func TestEverySettingAcceptsItsDefault(t *testing.T) {
	last := ""
	for _, d := range Settings() {
		if d.Name <= last {
			t.Errorf("%s comes after %s", d.Name, last)
		}
		last = d.Name
		if d.Default == "" {
			continue
		}
		if err := d.Check(d.Default); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if d.Doc == "" {
			t.Errorf("%s is not described", d.Name)
		}
	}
}
