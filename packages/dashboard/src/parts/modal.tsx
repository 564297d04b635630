import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface ModalProps {
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  readonly onClose: () => void;
  /** It cannot be closed without what it asks for. */
  readonly firm?: boolean;
}

/** A dialog over the page: the browser holds the focus in it and gives it back where it was. */
export function Modal({ title, children, onClose, firm = false }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    const { current } = dialog;
    current?.showModal();
    // The first thing to fill in; else the title, so that it is read out before anything that can be pressed.
    const first = current?.querySelector<HTMLElement>("form input, form select") ?? current?.querySelector("h2");
    first?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="modal"
      aria-labelledby="modal-title"
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) onClose();
      }}
      onClick={(event) => {
        if (!firm && event.target === dialog.current) onClose();
      }}
    >
      <div class="modal-body">
        <header>
          <h2 id="modal-title" tabIndex={-1}>
            {title}
          </h2>
          {!firm && (
            <button type="button" class="plain close" aria-label="Close" onClick={onClose}>
              ×
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}
