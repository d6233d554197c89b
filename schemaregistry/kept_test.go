package schemaregistry

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeptIsBounded(t *testing.T) {
	k := kept[int, string]{most: 80}
	for i := range 100 {
		k.put(i, fmt.Sprint(i), 10)
		if v, ok := k.get(i); !ok || v != fmt.Sprint(i) {
			t.Fatalf("%d is %q, %v", i, v, ok)
		}
	}
	k.put(99, "another", 10)
	if v, _ := k.get(99); v != "99" || len(k.all) != 8 || k.size != 80 {
		t.Errorf("%q, %d values of %d in all", v, len(k.all), k.size)
	}
	k.put(100, "large", 11)
	if _, ok := k.get(100); ok {
		t.Error("what takes more than an eighth is kept")
	}
}

// Answers that are kept are those that were given first, and each client's own.
func TestAnswersThatAreKept(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	large := strings.Replace(textA, `"R"`, `"R","doc":"`+strings.Repeat("d", 5000)+`"`, 1)
	for i, text := range []string{textA, large} {
		path := fmt.Sprintf("/schemas/ids/%d", i+1)
		if status, body, _ := ask(t, url, "POST", fmt.Sprintf("/subjects/s%d/versions", i), schemaBody(text)); status != 200 {
			t.Fatal(status, body)
		}
		for range 2 {
			_, short, header := ask(t, url, "GET", path, "")
			if want := schemaBody(text); short != want || header.Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("%s: %.200s %v", path, short, header)
			}
			_, full, _ := ask(t, url, "GET", path, "", "Confluent-Accept-Unknown-Properties", "true")
			if !strings.Contains(full, `"guid"`) || !strings.Contains(full, `"schemaType":"AVRO"`) {
				t.Errorf("%s: %.200s", path, full)
			}
			if _, asked, _ := ask(t, url, "GET", path+fmt.Sprintf("?subject=s%d", i), ""); !strings.Contains(asked, fmt.Sprintf(`"subject":"s%d","version":1`, i)) {
				t.Errorf("%s: %.200s", path, asked)
			}
			if status, none, header := ask(t, url, "HEAD", path, ""); status != 200 || none != "" || header.Get("Content-Length") != fmt.Sprint(len(short)) {
				t.Errorf("%s: %d %q %v", path, status, none, header)
			}
		}
	}
}
