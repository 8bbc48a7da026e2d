// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func list(items ...interface{}) []interface{} { return items }

func TestParseOptions(t *testing.T) {
	options, err := ParseOptions(map[string]interface{}{
		"upstreams": list("https://dtr.lab.test", "http://198.18.57.10:5000/"),
		"blobttl":   "90m",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := options.Upstreams[0].String() + " " + options.Upstreams[1].String(); got != "https://dtr.lab.test http://198.18.57.10:5000" {
		t.Errorf("upstreams %s", got)
	}
	if options.BlobTTL != 90*time.Minute {
		t.Errorf("blobttl %s", options.BlobTTL)
	}
}

func TestBlobTTL(t *testing.T) {
	for value, want := range map[interface{}]time.Duration{
		"24h": 24 * time.Hour, "15m": 15 * time.Minute, "2s": 2 * time.Second, "7ms": 7 * time.Millisecond,
		"7us": 7 * time.Microsecond, "7ns": 7, "86400": 86400, 86400: 86400,
	} {
		var options Options
		if err := setBlobTTL(&options, value); err != nil || options.BlobTTL != want {
			t.Errorf("%v: got %s and %v, want %s", value, options.BlobTTL, err, want)
		}
	}
}

func TestSliding(t *testing.T) {
	for value, want := range map[string]bool{"": false, "fixed": false, "sliding": true} {
		if got, err := parseSliding(value); err != nil || got != want {
			t.Errorf("%q: got %t and %v, want %t", value, got, err, want)
		}
	}
	if _, err := parseSliding("Sliding"); err == nil || !strings.Contains(err.Error(), `CONTENT_CACHE_BLOBTTL: "Sliding"`) {
		t.Errorf("got %v", err)
	}
}

func TestWrongOptions(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := list("https://dtr.lab.test")
	for _, test := range []struct {
		options map[string]interface{}
		want    string
	}{
		{map[string]interface{}{}, `option "upstreams": at least one`},
		{map[string]interface{}{"upstreams": list()}, `option "upstreams": at least one`},
		{map[string]interface{}{"upstreams": "https://dtr.lab.test"}, `option "upstreams": a list is needed, not string`},
		{map[string]interface{}{"upstreams": list(443)}, `option "upstreams": a list of strings is needed, it holds 443`},
		{map[string]interface{}{"upstreams": list("dtr.lab.test")}, `option "upstreams": "dtr.lab.test"`},
		{map[string]interface{}{"upstreams": list("dtr.lab.test:443")}, `option "upstreams": "dtr.lab.test:443"`},
		{map[string]interface{}{"upstreams": list("ftp://dtr.lab.test")}, `option "upstreams": "ftp://dtr.lab.test"`},
		{map[string]interface{}{"upstreams": list("https://")}, `option "upstreams": "https://"`},
		{map[string]interface{}{"upstreams": list("https://dtr.lab.test/v2")}, `option "upstreams": "https://dtr.lab.test/v2"`},
		{map[string]interface{}{"upstreams": list("https://dtr.lab.test:x")}, `option "upstreams": "https://dtr.lab.test:x"`},
		{map[string]interface{}{"upstreams": list("https://dtr.lab.test?a=b")}, `option "upstreams": "https://dtr.lab.test?a=b"`},
		{map[string]interface{}{"upstreams": good, "ca": list()}, `unknown option "ca"`},
		{map[string]interface{}{"upstreams": good, "cas": "/ca.pem"}, `option "cas": a list is needed`},
		{map[string]interface{}{"upstreams": good, "cas": list("ca.pem")}, `option "cas": "ca.pem" is not an absolute path`},
		{map[string]interface{}{"upstreams": good, "cas": list(folder + "/none.pem")}, `option "cas": open ` + folder},
		{map[string]interface{}{"upstreams": good, "cas": list(empty)}, `option "cas": ` + empty + ` holds no PEM certificate`},
		{map[string]interface{}{"upstreams": good, "blobttl": "24"}, ""},
		{map[string]interface{}{"upstreams": good, "blobttl": "1h30m"}, `option "blobttl": "1h30m"`},
		{map[string]interface{}{"upstreams": good, "blobttl": "1d"}, `option "blobttl": "1d"`},
		{map[string]interface{}{"upstreams": good, "blobttl": "1.5h"}, `option "blobttl": "1.5h"`},
		{map[string]interface{}{"upstreams": good, "blobttl": 0}, `option "blobttl": "0"`},
		{map[string]interface{}{"upstreams": good, "blobttl": -1}, `option "blobttl": "-1"`},
		{map[string]interface{}{"upstreams": good, "blobttl": "9999999h"}, `option "blobttl": "9999999h"`},
		{map[string]interface{}{"upstreams": good, "blobttl": 1.5}, `option "blobttl": a duration`},
		{map[string]interface{}{"upstreams": good, "blobttl": nil}, `option "blobttl": a duration`},
	} {
		_, err := ParseOptions(test.options)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%v: %v", test.options, err)
		case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
			t.Errorf("%v: got %v, want %s", test.options, err, test.want)
		}
	}
}
