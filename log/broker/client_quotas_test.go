package broker

import (
	"testing"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestClientQuotasSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	open := func() (*log.Log, *clientQuotas) {
		t.Helper()
		l, err := log.Open(log.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		q, err := openClientQuotas(l)
		if err != nil {
			t.Fatal(err)
		}
		return l, q
	}
	l, q := open()
	anna := quotaEntity{{"user", kmsg.StringPtr("anna")}, {"client-id", nil}}
	for _, change := range []quotaChange{{"producer_byte_rate", 1000, false}, {"request_percentage", 12.5, false}, {"producer_byte_rate", 0, true}} {
		if err := q.alter(anna, []quotaChange{change}, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.alter(anna, []quotaChange{{"consumer_byte_rate", 1, false}}, true); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, q = open()
	defer l.Close()
	all := q.list(func(quotaEntity) bool { return true })
	if len(all) != 1 || len(all[0].Values) != 1 || all[0].Values["request_percentage"] != 12.5 || all[0].Entity.compare(anna) != 0 {
		t.Errorf("quotas are %+v", all)
	}
}
