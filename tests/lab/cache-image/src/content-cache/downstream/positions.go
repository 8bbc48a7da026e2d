// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The environment's variables that decide what no document says of the vendor's cache.
const (
	// HitsVariable says who gets what is stored: whoever asks ("served"), or whom the upstream allows it ("authorised").
	HitsVariable = "CONTENT_CACHE_HITS"
	// JudgeVariable says who judges the signature of what is not stored: the upstream ("upstream"), or the cache
	// ("itself"), which then refuses without asking anybody.
	JudgeVariable = "CONTENT_CACHE_JUDGE"
	// KeyVariable holds the key of the signatures, for a cache that judges them.
	KeyVariable = "CONTENT_CACHE_SIGNING_KEY"
)

// Positions are the open points, each decided.
type Positions struct {
	Authorises bool
	Judges     bool
	// Key is that of the signatures. Without it, all of them are good until they expire.
	Key []byte
}

// ParsePositions reads the environment's variables.
func ParsePositions(getenv func(string) string) (Positions, error) {
	authorises, err := oneOf(getenv, HitsVariable, "served", "authorised")
	if err != nil {
		return Positions{}, err
	}
	judges, err := oneOf(getenv, JudgeVariable, "upstream", "itself")
	if err != nil {
		return Positions{}, err
	}
	return Positions{Authorises: authorises, Judges: judges, Key: []byte(strings.TrimSpace(getenv(KeyVariable)))}, nil
}

// oneOf tells whether a variable has the second of its two values; unset means the first.
func oneOf(getenv func(string) string, variable, usual, other string) (bool, error) {
	switch value := getenv(variable); value {
	case "", usual:
		return false, nil
	case other:
		return true, nil
	default:
		return false, fmt.Errorf("environment variable %s: %q is neither %s nor %s", variable, value, usual, other)
	}
}

// admit refuses what this cache does not serve, or does not ask for, to whoever asks.
func (c *cache) admit(ctx context.Context, blob wanted) error {
	if !c.positions.Authorises && !c.positions.Judges {
		return nil
	}
	found, err := c.store.look(ctx, blob.repository, blob.digest)
	if err != nil || (found != absent && !c.positions.Authorises) {
		return err
	}
	if c.positions.Judges {
		return c.positions.judge(blob, time.Now())
	}
	if found == absent {
		// Who fetches it asks the upstream anyway.
		return nil
	}
	_, err = c.upstreams.fetch(ctx, blob.path(), blob.query, func(io.Reader) error { return nil })
	return err
}

// judge refuses what is not signed for this very path, or no longer.
func (p Positions) judge(blob wanted, now time.Time) error {
	query, err := url.ParseQuery(blob.query)
	signature := query.Get("signature")
	if err != nil || signature == "" {
		return refusal{status: http.StatusUnauthorized}
	}
	if seconds, err := strconv.ParseInt(query.Get("expires"), 10, 64); err != nil || seconds < now.Unix() {
		return refusal{status: http.StatusForbidden}
	}
	if len(p.Key) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, p.Key)
	mac.Write([]byte(strings.Join([]string{blob.path(), query.Get("account"), query.Get("expires")}, "\n")))
	if !hmac.Equal([]byte(signature), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return refusal{status: http.StatusForbidden}
	}
	return nil
}
