// The client against a live service; run by tests/clients/service.mjs, which says where it is.
package sesior_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sesior"
)

var addresses = strings.Split(os.Getenv("SESIOR_TEST_ADDRESSES"), ",")

const patience = 20 * time.Second

func cookieOf(id string) string {
	mac := hmac.New(sha256.New, []byte(os.Getenv("SESIOR_TEST_SECRET")))
	mac.Write([]byte(id))
	return "connect.sid=" + url.QueryEscape("s:"+id+"."+base64.RawStdEncoding.EncodeToString(mac.Sum(nil)))
}

// A name that no other run has.
func fresh(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }

func open(t *testing.T, options sesior.Options) *sesior.Client {
	t.Helper()
	client, err := sesior.Open(options)
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func live(t *testing.T) (context.Context, *sesior.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx, open(t, sesior.Options{Addresses: addresses})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func dataOf(t *testing.T, session *sesior.Session) string {
	t.Helper()
	var data map[string]any
	must(t, session.Decode(&data))
	text, err := json.Marshal(data) // sorted
	must(t, err)
	return string(text)
}

func failureOf(t *testing.T, err error) *sesior.Error {
	t.Helper()
	var failure *sesior.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return failure
}

func next(t *testing.T, watch *sesior.Watch) sesior.Change {
	t.Helper()
	select {
	case change, ok := <-watch.Changes():
		if !ok {
			t.Fatalf("the watch has ended: %v", watch.Err())
		}
		return change
	case <-time.After(patience):
		t.Fatal("no change in time")
	}
	panic("unreachable")
}

func TestMakesReadsChangesAndEndsASession(t *testing.T) {
	ctx, client := live(t)
	made, err := client.CreateSession(ctx, sesior.Create{Data: map[string]any{"a": 1}, UserID: "ann", IdleTTL: time.Minute})
	must(t, err)
	if !strings.HasPrefix(made.SetCookie, "connect.sid=s%3A") {
		t.Fatal(made.SetCookie)
	}
	if left := time.Until(made.Session.ExpireTime); left < 50*time.Second || left > 70*time.Second {
		t.Fatal(left)
	}
	header := "x=y; " + cookieOf(made.Session.ID)
	resolved, err := client.ResolveCookie(ctx, header, true)
	must(t, err)
	equal(t, []any{resolved.Verdict, resolved.Session.UserID}, []any{"valid", "ann"})
	for cookie, verdict := range map[string]sesior.Verdict{"": sesior.Absent, "connect.sid=s%3Ax.y": sesior.Forged, cookieOf("there-is-none"): sesior.Unknown} {
		resolved, err = client.ResolveCookie(ctx, cookie, false)
		must(t, err)
		equal(t, resolved.Verdict, verdict)
	}
	changed, err := client.UpdateSession(ctx, sesior.Cookie(header), sesior.Update{Patch: map[string]any{"b": "<2>", "a": nil}, Etag: made.Session.Etag})
	must(t, err)
	equal(t, changed.Session.DataJSON, `{"b":"<2>"}`)
	if changed.Session.Revision <= made.Session.Revision {
		t.Fatal("the revision has not grown")
	}
	touched, err := client.TouchSession(ctx, made.Session.Ref())
	must(t, err)
	equal(t, touched, false)
	renewed, err := client.RegenerateSession(ctx, made.Session.Ref(), sesior.Regenerate{Patch: struct{ C int }{3}})
	must(t, err)
	equal(t, dataOf(t, renewed.Session), `{"C":3,"b":"\u003c2\u003e"}`)
	_, err = client.Session(ctx, made.Session.Ref())
	if !errors.Is(err, sesior.ErrNotFound) {
		t.Fatal(err)
	}
	for _, there := range []bool{true, false} {
		destroyed, err := client.DestroySession(ctx, renewed.Session.Ref(), "")
		must(t, err)
		equal(t, destroyed, there)
	}
}

func TestListsTheSessionsOfAUserAndEndsThem(t *testing.T) {
	ctx, client := live(t)
	user := sesior.User{ID: fresh("lister")}
	var handles []string
	var newest sesior.Ref
	for n := 0; n < 3; n++ {
		made, err := client.CreateSession(ctx, sesior.Create{UserID: user.ID})
		must(t, err)
		handles, newest = append(handles, made.Session.Handle), sesior.Cookie(cookieOf(made.Session.ID))
	}
	listed, err := client.ListSessions(ctx, sesior.User{Caller: &newest})
	must(t, err)
	equal(t, len(listed), 3)
	current := map[string]bool{} // of one millisecond they come in any order
	for _, each := range listed {
		current[each.Handle] = each.IsCurrent && !each.CreateTime.IsZero()
	}
	equal(t, current, map[string]bool{handles[0]: false, handles[1]: false, handles[2]: true})
	ended, err := client.EndUserSessions(ctx, user, sesior.End{Handle: handles[0]})
	must(t, err)
	equal(t, ended, 1)
	_, err = client.EndUserSessions(ctx, user, sesior.End{Handle: handles[0]})
	equal(t, failureOf(t, err).Reason, "HANDLE_NOT_FOUND")
	ended, err = client.EndUserSessions(ctx, sesior.User{Caller: &newest}, sesior.End{ExceptCaller: true})
	must(t, err)
	equal(t, ended, 1)
	ended, err = client.EndUserSessions(ctx, user, sesior.End{Reason: "banned"})
	must(t, err)
	equal(t, ended, 1)
	listed, err = client.ListSessions(ctx, user)
	must(t, err)
	equal(t, len(listed), 0)
}

func TestReadsManyAtOnce(t *testing.T) {
	ctx, client := live(t)
	ids := []string{"there-is-none"}
	for n := 0; n < 120; n++ {
		made, err := client.CreateSession(ctx, sesior.Create{Data: map[string]any{"n": n}})
		must(t, err)
		ids = append(ids, made.Session.ID)
	}
	found, err := client.Sessions(ctx, append(ids, ids[1])...)
	must(t, err)
	equal(t, len(found), 120)
	for n, id := range ids[1:] {
		equal(t, dataOf(t, found[id]), fmt.Sprintf(`{"n":%d}`, n))
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	ctx, client := live(t)
	made, err := client.CreateSession(ctx, sesior.Create{})
	must(t, err)
	for _, wrong := range []struct {
		session              sesior.Ref
		update               sesior.Update
		code                 codes.Code
		reason, field        string
		notFound, isConflict bool
	}{
		{made.Session.Ref(), sesior.Update{Patch: map[string]int{"a": 1}, Etag: `"` + strings.Repeat("0", 40) + `"`}, codes.Aborted, "ETAG_MISMATCH", "etag", false, true},
		{made.Session.Ref(), sesior.Update{Patch: map[string]any{"cookie": nil}}, codes.InvalidArgument, "RESERVED_MEMBER", "cookie", false, false},
		{sesior.ID("there-is-none"), sesior.Update{Patch: map[string]int{"a": 1}}, codes.NotFound, "SESSION_NOT_FOUND", "", true, false},
	} {
		_, err := client.UpdateSession(ctx, wrong.session, wrong.update)
		failure := failureOf(t, err)
		equal(t, []any{failure.Code, failure.Reason, failure.Field}, []any{wrong.code, wrong.reason, wrong.field})
		equal(t, []any{errors.Is(err, sesior.ErrNotFound), errors.Is(err, sesior.ErrConflict)}, []any{wrong.notFound, wrong.isConflict})
		equal(t, status.Code(err), wrong.code)
	}
	_, err = client.UpdateSession(ctx, made.Session.Ref(), sesior.Update{Patch: make(chan int)})
	if err == nil {
		t.Fatal("a channel is no JSON")
	}
	for _, none := range [][]string{nil, {""}} {
		if _, err := sesior.Open(sesior.Options{Addresses: none}); err == nil {
			t.Fatal("no address, and no error")
		}
	}
}

func TestARequestIDIsCarriedOutOnce(t *testing.T) {
	ctx, client := live(t)
	publish := func(to sesior.To, args ...any) uint64 {
		position, err := client.Publish(ctx, to, "e", args...)
		must(t, err)
		return position.Offset
	}
	once := fresh("go")
	first := publish(sesior.To{RequestID: once}, map[string]any{"n": 1, "list": []any{[]byte{0, 1}, "<"}})
	equal(t, publish(sesior.To{RequestID: once}), first)
	equal(t, publish(sesior.To{Rooms: []string{"r"}, Except: []string{"s"}, Volatile: true}), first) // has no number of its own
	equal(t, publish(sesior.To{Rooms: []string{"r"}, Except: []string{"s"}}), first+1)
	_, err := client.Publish(ctx, sesior.To{}, "disconnect")
	equal(t, failureOf(t, err).Field, "broadcast.packet.args_json")
}

func TestEmitsToUsersAndSessionsOnceForARequestID(t *testing.T) {
	ctx, client := live(t)
	user := fresh("emit")
	made, err := client.CreateSession(ctx, sesior.Create{UserID: user})
	must(t, err)
	whom := sesior.Whom{UserIDs: []string{user}, SessionIDs: []string{made.Session.ID}, Rooms: []string{"r"}, Except: []string{"s"}, RequestID: fresh("go")}
	first, err := client.Emit(ctx, whom, "e", map[string]any{"n": 1}, []byte{0, 1})
	must(t, err)
	again, err := client.Emit(ctx, whom, "e")
	must(t, err)
	equal(t, again, first)
	next, err := client.Emit(ctx, sesior.Whom{}, "e")
	must(t, err)
	equal(t, next.Offset, first.Offset+1)
	_, err = client.Emit(ctx, sesior.Whom{}, "")
	equal(t, failureOf(t, err).Field, "event")
	_, err = client.Emit(ctx, sesior.Whom{UserIDs: []string{"a b"}}, "e")
	equal(t, failureOf(t, err).Code, codes.InvalidArgument)
}

func TestAClaimBelongsToOneSession(t *testing.T) {
	ctx, client := live(t)
	first, second := fresh("go"), fresh("pher")
	claim := sesior.Claim{Namespace: "nick", Value: first, Member: "nick"}
	one, err := client.CreateSession(ctx, sesior.Create{Claims: []sesior.Claim{claim}})
	must(t, err)
	equal(t, []any{dataOf(t, one.Session), len(one.Previous), one.Previous[0] == nil}, []any{`{"nick":"` + first + `"}`, 1, true})
	_, err = client.CreateSession(ctx, sesior.Create{Claims: []sesior.Claim{claim}})
	equal(t, failureOf(t, err).Reason, "CLAIM_TAKEN")
	claim.Value = second
	renamed, err := client.UpdateSession(ctx, one.Session.Ref(), sesior.Update{Claims: []sesior.Claim{claim}})
	must(t, err)
	equal(t, *renamed.Previous[0], first)
}

func TestAWatchTellsTheStateChangesAndTheEnd(t *testing.T) {
	ctx, client := live(t)
	made, err := client.CreateSession(ctx, sesior.Create{Data: map[string]int{"n": 0}})
	must(t, err)
	watch := client.Watch(ctx, made.Session.Ref())
	change := next(t, watch)
	equal(t, []any{change.Kind, change.Ref == made.Session.Ref(), dataOf(t, change.Session)}, []any{"current", true, `{"n":0}`})
	watch.Add(sesior.ID("there-is-none"))
	change = next(t, watch)
	equal(t, []any{change.Kind, change.Verdict, change.Session == nil}, []any{"refused", "unknown", true})
	_, err = client.UpdateSession(ctx, made.Session.Ref(), sesior.Update{Patch: map[string]int{"n": 1}})
	must(t, err)
	change = next(t, watch)
	equal(t, []any{change.Kind, dataOf(t, change.Session)}, []any{"updated", `{"n":1}`})
	_, err = client.DestroySession(ctx, made.Session.Ref(), "banned")
	must(t, err)
	change = next(t, watch)
	equal(t, []any{change.Kind, change.Reason}, []any{"ended", "banned"})
	watch.Close()
	if _, more := <-watch.Changes(); more || watch.Err() != nil {
		t.Fatal("closed, and not over")
	}
}

func TestOnlyTheNewestStateWaitsAndWhatIsRemovedSaysNothing(t *testing.T) {
	ctx, client := live(t)
	one, err := client.CreateSession(ctx, sesior.Create{})
	must(t, err)
	two, err := client.CreateSession(ctx, sesior.Create{})
	must(t, err)
	watch := client.Watch(ctx, one.Session.Ref(), two.Session.Ref())
	next(t, watch)
	next(t, watch)
	watch.Remove(two.Session.Ref())
	for n := 1; n <= 50; n++ {
		for _, session := range []*sesior.Session{two.Session, one.Session} {
			_, err = client.UpdateSession(ctx, session.Ref(), sesior.Update{Patch: map[string]int{"n": n}})
			must(t, err)
		}
	}
	told := 0
	for seen := ""; seen != `{"n":50}`; told++ {
		change := next(t, watch)
		equal(t, []any{change.Kind, change.Ref == one.Session.Ref()}, []any{"updated", true})
		seen = dataOf(t, change.Session)
	}
	if told > 50 {
		t.Fatal(told)
	}
}

// A way to a replica that can be cut: what is open breaks, and nothing gets through until it is mended.
type proxy struct {
	listener net.Listener
	target   string
	mutex    sync.Mutex
	isCut    bool
	open     []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: listener, target: target}
	t.Cleanup(func() {
		listener.Close()
		p.cut(true)
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.accept(client)
		}
	}()
	return p
}

func (p *proxy) accept(client net.Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	server, err := net.Dial("tcp", p.target)
	if p.isCut || err != nil {
		client.Close()
		return
	}
	p.open = append(p.open, client, server)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func(source, sink net.Conn) {
			io.Copy(sink, source)
			source.Close()
			sink.Close()
		}(way[0], way[1])
	}
}

func (p *proxy) cut(isCut bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.isCut = isCut; isCut {
		for _, conn := range p.open {
			conn.Close()
		}
		p.open = nil
	}
}

func TestAWatchGoesOnOverABrokenConnection(t *testing.T) {
	ctx, client := live(t)
	way := newProxy(t, addresses[0])
	far := open(t, sesior.Options{Addresses: []string{way.listener.Addr().String()}})
	var refs []sesior.Ref
	for n := 0; n < 3; n++ {
		made, err := client.CreateSession(ctx, sesior.Create{Data: map[string]int{"n": n}})
		must(t, err)
		refs = append(refs, made.Session.Ref())
	}
	stays, changes, ends := refs[0], refs[1], refs[2]
	watch := far.Watch(ctx, refs...)
	told := map[sesior.Ref]sesior.Kind{}
	for range refs {
		change := next(t, watch)
		told[change.Ref] = change.Kind
	}
	equal(t, told, map[sesior.Ref]sesior.Kind{stays: "current", changes: "current", ends: "current"})
	way.cut(true)
	_, err := client.UpdateSession(ctx, changes, sesior.Update{Patch: map[string]int{"n": 9}})
	must(t, err)
	_, err = client.DestroySession(ctx, ends, "")
	must(t, err)
	way.cut(false)
	told = map[sesior.Ref]sesior.Kind{}
	for range refs[1:] {
		change := next(t, watch)
		told[change.Ref] = change.Kind
	}
	equal(t, told, map[sesior.Ref]sesior.Kind{changes: "updated", ends: "ended"})
	_, err = client.UpdateSession(ctx, stays, sesior.Update{Patch: map[string]int{"n": 5}})
	must(t, err)
	change := next(t, watch)
	equal(t, []any{change.Kind, change.Ref == stays, dataOf(t, change.Session)}, []any{"updated", true, `{"n":5}`})
	far.Close()
	for range watch.Changes() {
		t.Fatal("a change after the end")
	}
	must(t, watch.Err())
}

func TestGoesOverAllAddresses(t *testing.T) {
	ctx, client := live(t)
	made, err := client.CreateSession(ctx, sesior.Create{})
	must(t, err)
	half := open(t, sesior.Options{Addresses: []string{"127.0.0.1:1", addresses[1]}})
	for i := 0; i < 4; i++ {
		_, err := half.Session(ctx, made.Session.Ref())
		must(t, err)
	}
	equal(t, half.Health(ctx), map[string]bool{"127.0.0.1:1": false, addresses[1]: true})
	none := open(t, sesior.Options{Addresses: []string{"127.0.0.1:1"}, MaxTries: 2})
	_, err = none.Session(ctx, made.Session.Ref())
	if !errors.Is(err, sesior.ErrUnavailable) {
		t.Fatal(err)
	}
	late, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	_, err = client.Session(late, made.Session.Ref())
	equal(t, failureOf(t, err).Code, codes.DeadlineExceeded)
}

func TestWhoIsOnline(t *testing.T) {
	ctx, client := live(t)
	listed, total, err := client.ListOnline(ctx, sesior.List{NewestFirst: true})
	must(t, err)
	equal(t, []any{len(listed), total}, []any{0, 0})
}

func TestTheExampleReadsTheCookieOfARequest(t *testing.T) {
	ctx, client := live(t)
	program := filepath.Join(t.TempDir(), "whoami")
	if output, err := exec.Command("go", "build", "-o", program, "sesior/examples/whoami").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	command := exec.CommandContext(ctx, program, addresses...)
	output, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	defer func() {
		command.Process.Kill()
		command.Wait()
	}()
	address, err := bufio.NewReader(output).ReadString('\n')
	must(t, err)
	name := fresh("ann")
	made, err := client.CreateSession(ctx, sesior.Create{Claims: []sesior.Claim{{Namespace: "userName", Value: name, Member: "userName"}}})
	must(t, err)
	for cookie, answer := range map[string]string{cookieOf(made.Session.ID): "You are " + name + ".\n", "": "I do not know you.\n"} {
		request, err := http.NewRequestWithContext(ctx, "GET", strings.TrimSpace(address), nil)
		must(t, err)
		request.Header.Set("Cookie", cookie)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		text, err := io.ReadAll(response.Body)
		must(t, err)
		response.Body.Close()
		equal(t, string(text), answer)
	}
}
