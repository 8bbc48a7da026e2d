// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Options are the middleware's options as documented in the vendor's "Cache configuration reference".
type Options struct {
	// Upstreams are the addresses of the next hop: registries or other content caches. At least one.
	Upstreams []*url.URL
	// Roots are the system's certificates and those of option cas.
	Roots *x509.CertPool
	// BlobTTL is how long a blob is kept after it was stored, or last pulled (TTLVariable). Zero: for ever.
	BlobTTL time.Duration
}

// setters holds, for each option's name, how its value gets into Options. An option that is not here is refused.
var setters = map[string]func(*Options, interface{}) error{
	"upstreams": setUpstreams,
	"cas":       setRoots,
	"blobttl":   setBlobTTL,
}

// ParseOptions reads the options as the registry's YAML parser leaves them. Every error names the option.
func ParseOptions(raw map[string]interface{}) (Options, error) {
	var options Options
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		set, known := setters[name]
		if !known {
			return Options{}, fmt.Errorf("unknown option %q", name)
		}
		if err := set(&options, raw[name]); err != nil {
			return Options{}, fmt.Errorf("option %q: %w", name, err)
		}
	}
	if len(options.Upstreams) == 0 {
		return Options{}, errors.New(`option "upstreams": at least one address is needed`)
	}
	return options, nil
}

func setUpstreams(options *Options, value interface{}) error {
	addresses, err := stringList(value)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		upstream, err := parseUpstream(address)
		if err != nil {
			return fmt.Errorf("%q: %w", address, err)
		}
		options.Upstreams = append(options.Upstreams, upstream)
	}
	return nil
}

// parseUpstream takes scheme://host[:port], with or without a trailing slash.
func parseUpstream(address string) (*url.URL, error) {
	upstream, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil {
		var wrapped *url.Error
		errors.As(err, &wrapped)
		return nil, wrapped.Err
	}
	if upstream.Scheme != "http" && upstream.Scheme != "https" {
		return nil, errors.New("not of the form https://host:port")
	}
	plain := url.URL{Scheme: upstream.Scheme, Host: upstream.Host}
	if upstream.Hostname() == "" || *upstream != plain {
		return nil, errors.New("not of the form https://host:port")
	}
	return upstream, nil
}

func setRoots(options *Options, value interface{}) error {
	files, err := stringList(value)
	if err != nil {
		return err
	}
	if options.Roots, err = x509.SystemCertPool(); err != nil {
		return fmt.Errorf("the system's certificates: %w", err)
	}
	for _, file := range files {
		if !filepath.IsAbs(file) {
			return fmt.Errorf("%q is not an absolute path", file)
		}
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !options.Roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no PEM certificate", file)
		}
	}
	return nil
}

// The documents know an integer and one unit, not the compound durations of Go.
var ttlForm = regexp.MustCompile(`^([0-9]+)(ns|us|ms|s|m|h)?$`)

var ttlUnits = map[string]time.Duration{
	"": time.Nanosecond, "ns": time.Nanosecond, "us": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour,
}

func setBlobTTL(options *Options, value interface{}) error {
	var text string
	switch value := value.(type) {
	case string:
		text = value
	case int:
		text = strconv.Itoa(value)
	default:
		return fmt.Errorf("a duration such as 24h is needed, not %T", value)
	}
	parts := ttlForm.FindStringSubmatch(text)
	if parts == nil {
		return fmt.Errorf("%q is not a positive integer with one of the units ns, us, ms, s, m, h", text)
	}
	unit := ttlUnits[parts[2]]
	count, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || count < 1 || count > math.MaxInt64/int64(unit) {
		return fmt.Errorf("%q is out of range", text)
	}
	options.BlobTTL = time.Duration(count) * unit
	return nil
}

// parseSliding reads what TTLVariable holds: whether a pull lets a blob's time begin anew.
func parseSliding(value string) (bool, error) {
	switch value {
	case "", "fixed":
		return false, nil
	case "sliding":
		return true, nil
	}
	return false, fmt.Errorf("environment variable %s: %q is neither fixed nor sliding", TTLVariable, value)
}

func stringList(value interface{}) ([]string, error) {
	items, ok := value.([]interface{})
	if !ok {
		return nil, fmt.Errorf("a list is needed, not %T", value)
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("a list of strings is needed, it holds %v (%T)", item, item)
		}
		texts = append(texts, text)
	}
	return texts, nil
}
