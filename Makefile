# make                 builds everything in dist/ (npm does the work)
# make install         copies it; as root, or into DESTDIR
#   PREFIX=/usr/local  programs, manual pages, completions; SYSCONFDIR=/etc  the control directory and others' configuration
#   NODE=PATH          the Node that runs the scripts (default: the one that built them)
# Configuration that is there already is kept. The helper is not setuid: it runs by acceptd-helper.service, or see README.md.
DESTDIR =
PREFIX = /usr/local
SYSCONFDIR = /etc
NODE = $(shell command -v node)
LIBDIR = $(PREFIX)/lib/acceptd
SHARE = $(PREFIX)/share
DOCDIR = $(SHARE)/doc/acceptd
UNITDIR = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
BUILT = dist/programs
INSTALL = install -p
DATA = $(INSTALL) -m 644
DOCUMENTS = README.md CHANGES.md UPGRADING.md SECURITY.md docs/architecture.md docs/security.md docs/control.md docs/rpc.md docs/running-beside.md docs/fleet.md docs/sizing.md docs/monitoring.md docs/container.md \
	docs/who-runs-as-whom.md docs/who-runs-as-whom.svg docs/grafana-dashboard.json

all:
	npm run build

# $(call conffile,SOURCE,TARGET): a file that belongs to the administrator once it is there
conffile = [ -e "$(DESTDIR)$(2)" ] || $(DATA) $(1) "$(DESTDIR)$(2)"

install: install-programs install-configuration install-manual install-completions install-units install-documents

$(BUILT)/package.json:
	@echo 'it is not built: run `make` first, as yourself' >&2; exit 1

# The first line of a script names the Node that it was built with; a code cache is of use to that one only.
install-programs: $(BUILT)/package.json
	$(INSTALL) -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/sbin"
	set -e; for file in $$(cd $(BUILT) && find . -type f ! -name '.*' ! -name '*.cache' ! -name acceptd-trial); do \
		to="$(DESTDIR)$(LIBDIR)/$$file"; \
		$(INSTALL) -d "$${to%/*}"; \
		if [ "$$(head -c 3 "$(BUILT)/$$file")" = '#!/' ] && head -n 1 "$(BUILT)/$$file" | grep -q '/node$$'; \
		then { echo '#!$(NODE)'; tail -n +2 "$(BUILT)/$$file"; } >"$$to"; else cp "$(BUILT)/$$file" "$$to"; fi; \
		if [ -x "$(BUILT)/$$file" ]; then chmod 755 "$$to"; else chmod 644 "$$to"; fi; \
	done
	set -e; cd $(BUILT); for link in $$(find . -type l); do ln -sfn "$$(readlink "$$link")" "$(DESTDIR)$(LIBDIR)/$$link"; done
	ln -sf ../lib/acceptd/acceptctl "$(DESTDIR)$(PREFIX)/bin/acceptctl"
	ln -sf ../lib/acceptd/acceptd "$(DESTDIR)$(PREFIX)/sbin/acceptd"

install-configuration:
	$(INSTALL) -d "$(DESTDIR)$(SYSCONFDIR)/acceptd" "$(DESTDIR)$(SYSCONFDIR)/apparmor.d" \
		"$(DESTDIR)$(SYSCONFDIR)/fail2ban/filter.d" "$(DESTDIR)$(SYSCONFDIR)/fail2ban/jail.d" \
		"$(DESTDIR)$(SYSCONFDIR)/logcheck/ignore.d.server"
	set -e; for file in control/*; do case $$file in */README.md) ;; *) \
		$(call conffile,$$file,$(SYSCONFDIR)/acceptd/$${file##*/}) ;; esac; done
	$(call conffile,packaging/helper,$(SYSCONFDIR)/acceptd/helper)
	$(call conffile,fail2ban/filter.d/acceptd.conf,$(SYSCONFDIR)/fail2ban/filter.d/acceptd.conf)
	$(call conffile,fail2ban/jail.d/acceptd.conf,$(SYSCONFDIR)/fail2ban/jail.d/acceptd.conf)
	$(call conffile,packaging/logcheck,$(SYSCONFDIR)/logcheck/ignore.d.server/acceptd)
	sed 's|@LIBDIR@|$(LIBDIR)|' packaging/apparmor >dist/apparmor
	$(call conffile,dist/apparmor,$(SYSCONFDIR)/apparmor.d/acceptd)

install-manual:
	set -e; for page in $$(ls man/* | grep -v acceptd-trial); do \
		$(INSTALL) -d "$(DESTDIR)$(SHARE)/man/man$${page##*.}"; $(DATA) $$page "$(DESTDIR)$(SHARE)/man/man$${page##*.}/"; \
	done

install-completions: $(BUILT)/package.json
	$(INSTALL) -d "$(DESTDIR)$(SHARE)/bash-completion/completions" "$(DESTDIR)$(SHARE)/zsh/vendor-completions" \
		"$(DESTDIR)$(SHARE)/fish/vendor_completions.d"
	node $(BUILT)/acceptctl completion bash >"$(DESTDIR)$(SHARE)/bash-completion/completions/acceptctl"
	node $(BUILT)/acceptctl completion zsh >"$(DESTDIR)$(SHARE)/zsh/vendor-completions/_acceptctl"
	node $(BUILT)/acceptctl completion fish >"$(DESTDIR)$(SHARE)/fish/vendor_completions.d/acceptctl.fish"

install-units:
	$(INSTALL) -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(SYSUSERSDIR)" "$(DESTDIR)$(TMPFILESDIR)"
	set -e; for unit in acceptd.service acceptd.socket acceptd-helper.service; do \
		sed 's|@LIBDIR@|$(LIBDIR)|; s|@PREFIX@|$(PREFIX)|' packaging/$$unit >"$(DESTDIR)$(UNITDIR)/$$unit"; \
		chmod 644 "$(DESTDIR)$(UNITDIR)/$$unit"; \
	done
	$(DATA) packaging/sysusers.conf "$(DESTDIR)$(SYSUSERSDIR)/acceptd.conf"
	$(DATA) packaging/tmpfiles.conf "$(DESTDIR)$(TMPFILESDIR)/acceptd.conf"

install-documents:
	$(INSTALL) -d "$(DESTDIR)$(DOCDIR)" "$(DESTDIR)$(DOCDIR)/examples" "$(DESTDIR)$(DOCDIR)/recipes"
	$(DATA) $(DOCUMENTS) "$(DESTDIR)$(DOCDIR)/"
	$(DATA) control/README.md "$(DESTDIR)$(DOCDIR)/control.md"
	$(DATA) native/README.md "$(DESTDIR)$(DOCDIR)/helper.md"
	cp -R docs/examples/. "$(DESTDIR)$(DOCDIR)/examples/"
	cp -R docs/recipes/. "$(DESTDIR)$(DOCDIR)/recipes/"

.PHONY: all install install-programs install-configuration install-manual install-completions install-units install-documents
